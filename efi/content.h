#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the recovery screen says, in words, before any look is given to it. Pure: tested hosted. */

#include "efi/facts.h"
#include "formats/handoff.h"
#include "formats/org.h"
#include "formats/qr_text.h"

#define CONTENT_LINE     200
#define CONTENT_STEPS    3
#define CONTENT_VOLUMES  5  /* lines of the list of volumes */
#define CONTENT_COMPUTER 72 /* Linux names are at most 64 bytes */

struct content {
    char org[ORG_TEXT + 1];          /* "" when org.json is absent or unreadable */
    char message[ORG_MESSAGE + 1];   /* the organisation's own words, or "" */
    char url[QR_URL_MAX + 1];        /* or "" */
    char computer[CONTENT_COMPUTER]; /* name of the computer, or "" */
    char reason[CONTENT_LINE];       /* why we are here */
    bool has_volume;                 /* there is one to open */
    char volume[CONTENT_LINE];       /* label, size, format, use, UUID; "" without a volume */
    char mended[CONTENT_LINE];       /* that a damaged header was replaced by its copy, or "" */
    char key_id[9];                  /* what to read to the help desk; "" without */
    char also[CONTENT_LINE];         /* further key IDs of this volume, or "" */
    char list[CONTENT_VOLUMES]
             [CONTENT_LINE];  /* every volume, in short; the first n_list; none for one alone */
    unsigned n_list, list_at; /* list_at: the one that is shown */
    char count[CONTENT_LINE]; /* "Volume 1 of 2 (Tab shows the next)", or "" */
    bool several;             /* Tab leads somewhere */
    bool may_copy;            /* files may be copied to a stick */
    bool can_hand_off;        /* the next stage may be given the password */
    char note[CONTENT_LINE];  /* what the user has to know before, or "" */
    char qr[QR_TEXT_MAX + 1]; /* text of the QR, or "" */
};

/* Empty of a volume; org may be NULL. computer: its name, or "" */
void content_init(struct content *c, const struct org *org, const char *computer, uint8_t reason,
                  bool can_hand_off);

/* The volumes that were found, one of them in front. */
struct content_volumes {
    const struct facts *const *at; /* n of them */
    unsigned n, current;
    unsigned n_damaged; /* that cannot be read */
    bool more;          /* there are volumes that cannot be shown */
    bool cut_short;     /* nobody looked at every disk */
};
/* n = 0: no volume (any more). */
void content_set_volumes(struct content *c, const struct content_volumes *v);

/* What to do, in three lines. with_qr: this look shows a QR. */
const char *content_step(const struct content *c, unsigned step, bool with_qr);
/* The keys that are not digits. graphics: digits are always shown there. */
const char *content_keys(const struct content *c, bool graphics);
