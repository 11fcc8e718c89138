#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the recovery screen knows and does, without any screen: 48 digits in eight groups, each checked as
 * soon as it is complete, and the questions before leaving. Pure: no firmware types, tested hosted.
 *
 * A group behaves like a text field of six places: digits are inserted while there is room and overwrite when
 * it is full. The cursor leaves a group when its last place is typed; a wrong group keeps its digits, so
 * nothing typed at any speed is lost. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include "efi/keymap.h"
#include "efi/menu.h"
#include "efi/tones.h"
#include "formats/recovery_password.h"
#include <stdbool.h>

#define MODEL_DIGITS  6 /* of a group */
#define MODEL_MESSAGE 400
#define MODEL_NAME    48 /* of what is started */

enum model_phase {
    MODEL_ENTRY = 1,
    MODEL_NO_VOLUME, /* nothing to open was found */
    MODEL_OPENING,   /* the key is being derived */
    MODEL_OPENED,    /* on the way to the next stage */
    MODEL_ASK_BOOT,  /* leave without opening? */
    MODEL_ASK_OFF,
    MODEL_ASK_SETUP,
    MODEL_LIST,    /* one of the menu's lines is chosen */
    MODEL_OFFER,   /* a key was found on a stick: use it? */
    MODEL_NOTICE,  /* something to read; Enter goes on */
    MODEL_UNLOCKED /* a volume was opened here: what to do with it */
};

/* What the caller has to do after a key. */
enum model_action {
    MODEL_NOTHING = 1,
    MODEL_OPEN, /* 48 good digits: try them; then model_failed() or model_opened() */
    MODEL_NEXT_VOLUME,
    MODEL_NEXT_LOCKED, /* what was opened has been dealt with */
    MODEL_RESCAN,
    MODEL_BOOT,
    MODEL_OFF,
    MODEL_SETUP,
    MODEL_OPEN_LIST, /* gather what can be started; then model_list() */
    MODEL_RESTART,   /* from a clean start, whatever was handed over */
    MODEL_PICKED,    /* line m->menu_at */
    MODEL_TAKE,      /* use what was offered */
    MODEL_REFUSED,   /* or do not */
    MODEL_RECOLOR,
    MODEL_COPY, /* files of the volume to a USB stick; opening it first where it is locked */
    MODEL_GO_ON /* the notice was read */
};

enum group_state { GROUP_EMPTY = 1, GROUP_PARTIAL, GROUP_GOOD, GROUP_WRONG };

enum model_tone { TONE_QUIET = 1, TONE_ASK, TONE_BAD, TONE_GOOD };

struct model_group {
    char digit[MODEL_DIGITS];
    unsigned n;
};

struct model {
    enum model_phase phase;
    enum model_phase back; /* where a question returns to */
    struct model_group group[RP_GROUPS];
    unsigned at, pos; /* the cursor: group, and place 0 to 6 in it */
    bool overtyping;  /* a full group is being typed anew: do not judge it halfway */
    bool reveal;      /* digits on text consoles, whose output may be logged, are shown on demand only */
    bool tried;       /* these very digits did not open */
    bool keyless;     /* the volume opens without digits: Enter on nothing opens */
    bool copying;     /* the digits open the volume for its files, not to start from it */
    bool may_copy;    /* files may be copied to a stick: the organisation's word, set by the caller */
    bool opened;      /* a volume was opened: leaving means going on */
    const struct menu *menu; /* borrowed */
    unsigned menu_at;
    enum model_action then; /* what Enter does after opening */
    char next[MODEL_NAME];  /* what is started next, "" not known */
    bool quiet;             /* a person does not want to hear anything */
    enum sound sound;       /* the last thing to be heard, */
    unsigned n_sounds;      /* and how many there were */
    enum model_tone tone;
    char message[MODEL_MESSAGE];
};

void model_init(struct model *m, bool has_volume);
/* Forget everything typed. */
void model_wipe(struct model *m);
/* The number of volumes changed: enter or leave MODEL_NO_VOLUME; digits stay. */
void model_has_volume(struct model *m, bool has_volume);

MUST_CHECK enum model_action model_key(struct model *m, enum key key);

/* Nothing is typed. */
bool model_is_empty(const struct model *m);
enum group_state model_group_state(const struct model *m, unsigned group);
/* err: FORMAT (not complete), RANGE (a group is wrong). ret: 16 bytes */
MUST_CHECK enum err model_password(const struct model *m, struct secret *ret);

/* The digits did not open; why is a whole sentence. The entry stays.
 * wrong: these digits never will, so Enter does not try them again */
void model_failed(struct model *m, bool wrong, const char *why);
/* A step of opening, or the good end of it. */
void model_progress(struct model *m, enum model_phase phase, const char *what);
/* Let one of the lines be chosen, beginning with the one at; an empty menu changes nothing. */
void model_list(struct model *m, const struct menu *menu, unsigned at);
/* What is started when it is time to go on. ask: whether to do that now, without opening */
void model_next(struct model *m, const char *name, bool ask);
/* A key was found: Enter takes it, Esc does not. Returns false when it is no time for questions. */
bool model_offer(struct model *m, const char *what);
/* Put these digits in, all 48, as if they had been typed. */
void model_fill(struct model *m, const struct secret *digits);
/* Back to the entry, empty, after something was opened. */
void model_again(struct model *m, bool has_volume);
/* Are the digits to open the volume for its files? While nobody types, the message line says so. */
void model_copying(struct model *m, bool copying);
/* Show a sentence until Enter is pressed. */
void model_notice(struct model *m, enum model_tone tone, const char *what);
/* The page after a volume was opened that stays: what it holds, and the keys for what can be done with it.
 * then: what Enter does, MODEL_NEXT_LOCKED or MODEL_GO_ON (to start the computer) */
void model_unlocked(struct model *m, enum model_tone tone, const char *what, enum model_action then);
