/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/unlock.h"
#include "efi/keyboard.h"
#include "efi/open.h"
#include "efi/screen.h"
#include "efi/sentence.h"
#include "efi/variables.h"

#define SLOTS_NAMED 4 /* then a number stands for the rest */

/* Esc between two keyslots stops; in the middle of one nothing can. Other keys mean nothing now. */
static bool stop_wanted(void)
{
    enum key key;
    while ((key = keyboard_poll()) != KEY_NONE)
        if (key == KEY_ESC)
            return true;
    return false;
}

/* What the screen needs while a volume is tried. */
struct showing {
    struct model *m;
    const struct volume *v;
};

static bool show_step(void *ctx, unsigned number, bool recovery)
{
    const struct showing *w = ctx;
    if (w->m->phase == MODEL_OPENING && stop_wanted())
        return false;
    struct sentence s;
    char line[MODEL_MESSAGE];
    sentence_init(&s, line, sizeof line);
    if (!w->v->luks) {
        sentence_add(&s, recovery ? "Opening the volume. BitLocker makes this slow on purpose: some seconds."
                                  : "Not by the first recovery key; trying the others. Esc stops.");
    } else {
        sentence_add(&s, recovery ? "Opening the disk with its recovery key (keyslot "
                                  : "Trying the other keys (keyslot ");
        sentence_add_u64(&s, number);
        sentence_add(&s, recovery ? "). This takes a few seconds." : "). Esc stops.");
    }
    model_progress(w->m, MODEL_OPENING, line);
    screen_update(w->m);
    return true;
}

/* "keyslot 3, 4 and 2 more" */
static void name_slots(struct sentence *s, uint32_t slots)
{
    unsigned named = 0;
    sentence_add(s, "keyslot ");
    for (unsigned slot = 0; slot < LUKS2_SLOTS; slot++) {
        if (!(slots >> slot & 1) || named++ >= SLOTS_NAMED)
            continue;
        sentence_add(s, named > 1 ? ", " : "");
        sentence_add_u64(s, slot);
    }
    if (named > SLOTS_NAMED) {
        sentence_add(s, " and ");
        sentence_add_u64(s, named - SLOTS_NAMED);
        sentence_add(s, " more");
    }
}

/* What could not be tried at all says nothing about the digits. */
static void name_untried(struct sentence *s, const struct open_progress *p)
{
    if (p->no_memory) {
        sentence_add(s, " Not tried, too little memory: ");
        name_slots(s, p->no_memory);
        sentence_add(s, " wants ");
        sentence_add_u64(s, p->memory_kib / 1024);
        sentence_add(s, " MiB in one piece.");
    }
    if (p->too_slow) {
        sentence_add(s, " Left out as too slow: ");
        name_slots(s, p->too_slow);
        sentence_add(s, ".");
    }
}

static void say_not_this_volume(struct sentence *s, const struct facts *f)
{
    char id[9];
    sentence_add(s, "The digits are well-formed, but they are not the recovery password of this volume");
    if (f->n_keys > 0) {
        guid_short(&f->key[0], id);
        sentence_add(s, " (key ID ");
        sentence_add(s, id);
        sentence_add(s, "). Compare the key ID with the one you were asked for.");
    } else {
        sentence_add(s, ".");
    }
}

static void explain_failure(struct model *m, const struct volume *v, enum err e,
                            const struct open_progress *p)
{
    struct sentence s;
    char line[MODEL_MESSAGE];
    sentence_init(&s, line, sizeof line);
    if (e == ERR_AUTH) {
        say_not_this_volume(&s, &v->facts);
    } else if (e == ERR_UNSUPPORTED) {
        sentence_add(
            &s, v->luks ? "This volume has no keyslot that can be opened here. Nothing was changed; ask "
                          "your help desk."
                        : "This volume has no recovery password. Nothing was changed; ask your help desk.");
    } else if (e == ERR_NOMEM && p->no_memory) {
        sentence_add(&s, "The digits could not be tried: this says nothing about whether they are right.");
    } else if (e == ERR_BUSY) {
        sentence_add(&s, "Stopped before every key was tried. Nothing was changed.");
    } else {
        sentence_add(&s, "The volume could not be opened: ");
        sentence_add(&s, p->why ? p->why : err_text(e));
        sentence_add(&s, ". Nothing was changed. Press R to look at the disk again.");
    }
    name_untried(&s, p);
    model_failed(m, e == ERR_AUTH || e == ERR_UNSUPPORTED, line);
}

static enum err leave_word(const struct volume *v, const struct guid *key_id, uint8_t reason,
                           enum boot_result result)
{
    const struct boot_event e = {.key_id = *key_id,
                                 .volume = v->facts.id,
                                 .time = firmware_time(),
                                 .result = (uint8_t)result,
                                 .reason = reason,
                                 .attempts = (uint16_t)(v->attempts < UINT16_MAX ? v->attempts : UINT16_MAX)};
    return variables_event(&e);
}

/* The system's own volume, LUKS2: the password goes along. */
static void hand_over(struct volume *v, struct model *m, uint8_t reason, const struct secret *password,
                      const struct guid *key_id)
{
    struct sentence s;
    char line[MODEL_MESSAGE];
    enum err handed = variables_hand_off(&v->facts.id, key_id, password->bytes);
    enum err told = leave_word(v, key_id, reason, BOOT_OPENED);
    model_wipe(m);
    if (handed == ERR_OK && told == ERR_OK) {
        model_progress(m, MODEL_OPENED, "The disk is opened. Starting the computer.");
        return;
    }
    sentence_init(&s, line, sizeof line);
    if (handed != ERR_OK)
        sentence_add(&s,
                     "The digits are right, but they cannot be passed on: the system will ask for them once "
                     "more. Type them with a dash between the groups.");
    else
        sentence_add(
            &s, "The disk is opened, but the firmware kept no record of it: please tell your help desk.");
    sentence_add(&s, " Press Enter to start the computer.");
    model_unlocked(m, TONE_ASK, line, MODEL_GO_ON);
}

/* What can be read, and by whom. */
static void say_content(struct sentence *s, const struct volume *v)
{
    enum file_system f = v->published->plain->file_system;
    const char *name = file_system_name(f);
    if (f == FILE_SYSTEM_FAT) {
        sentence_add(
            s, " It holds a FAT file system: programs of the firmware, its shell for one, can read it now.");
        return;
    }
    sentence_add(s, name ? " It holds a file system (" : " It holds something that is not known here");
    sentence_add(s, name ? name : "");
    sentence_add(s, name ? ") that this firmware cannot read" : "");
    sentence_add(s, v->luks
                        ? "; another Linux computer opens it with these digits and dashes between the groups."
                        : "; another Windows computer opens it with the same key.");
}

/* "The volume is open, with key 7C41D9E2. …" */
static void say_readable(struct model *m, const struct volume *v, const struct guid *key_id, const char *why)
{
    struct sentence s;
    char line[MODEL_MESSAGE], id[9];
    guid_short(key_id, id);
    sentence_init(&s, line, sizeof line);
    sentence_add(&s,
                 v->published ? "The volume is open for reading, by key " : "The digits are right, by key ");
    sentence_add(&s, id);
    sentence_add(&s, ".");
    if (v->published) {
        sentence_add(&s, m->may_copy ? " U copies files to a USB stick." : "");
        say_content(&s, v);
    } else {
        sentence_add(&s, " It cannot be read here: ");
        sentence_add(&s, why ? why : "too little memory");
        sentence_add(&s, ".");
    }
    bool start = !v->luks && v->facts.os;
    sentence_add(&s, start ? " Windows will ask for the digits again. Enter starts the computer."
                           : " Enter goes on.");
    if (v->facts.chip)
        sentence_add(&s, " X restarts it, so that the security chip may open the volume.");
    model_unlocked(m, v->published ? TONE_GOOD : TONE_ASK, line, start ? MODEL_GO_ON : MODEL_NEXT_LOCKED);
}

/* Every other volume: to be read. Takes plain over, which may be NULL. */
static enum unlocked offer_content(struct volume *v, struct model *m, uint8_t reason,
                                   const struct guid *key_id, struct plain *plain, const char *why)
{
    if (plain && publish_start(plain, &v->facts.id, &v->published) != ERR_OK) {
        plain_free(plain);
        disk_rest(&v->disk);
        why = "the firmware did not take it";
    }
    v->facts.open = v->published != NULL;
    enum err told = leave_word(v, key_id, reason, BOOT_OPENED);
    if (told != ERR_OK)
        screen_remark("The firmware kept no record of the opening.");
    model_wipe(m);
    m->opened = true;
    say_readable(m, v, key_id, why);
    return !v->luks && v->facts.os ? UNLOCK_START : UNLOCK_STAY;
}

/* For whoever watches a serial line, and for tests. */
static void remark_time(enum err e, uint64_t ms)
{
    struct sentence s;
    char line[64];
    sentence_init(&s, line, sizeof line);
    sentence_add(&s, e == ERR_OK ? "opened after " : "not opened after ");
    sentence_add_u64(&s, ms);
    sentence_add(&s, " ms");
    screen_remark(line);
}

enum unlocked unlock_try(struct volume *v, struct model *m, uint8_t reason)
{
    SECRET(password);
    struct guid key_id;
    struct plain *plain = NULL;
    struct showing showing = {.m = m, .v = v};
    struct open_progress progress = {.step = show_step, .ctx = &showing};
    bool hand = v->luks && v->facts.os && !m->copying;
    uint64_t start = firmware_uptime_ms();
    enum err e = model_password(m, &password);
    if (e == ERR_OK)
        e = open_volume(v, password.bytes, !hand, &progress, &key_id, &plain);
    v->attempts += e == ERR_AUTH;
    remark_time(e, firmware_uptime_ms() - start);
    if (e != ERR_OK) {
        explain_failure(m, v, e, &progress);
        return UNLOCK_NOT;
    }
    if (!hand)
        return offer_content(v, m, reason, &key_id, plain, progress.why);
    hand_over(v, m, reason, &password, &key_id);
    return UNLOCK_START;
}

enum unlocked unlock_with_file(struct volume *v, const void *bek, size_t len, struct model *m, uint8_t reason)
{
    struct guid key_id;
    struct plain *plain = NULL;
    struct showing showing = {.m = m, .v = v};
    struct open_progress progress = {.step = show_step, .ctx = &showing};
    enum err e = open_with_file(v, bek, len, &progress, &key_id, &plain);
    if (e == ERR_OK)
        return offer_content(v, m, reason, &key_id, plain, progress.why);
    model_failed(m, false,
                 e == ERR_AUTH  ? "The key does not open this volume."
                 : progress.why ? progress.why
                                : err_text(e));
    return UNLOCK_NOT;
}

void unlock_gave_up(const struct volume *v, uint8_t reason)
{
    const struct guid none = {{0}};
    enum err e = leave_word(v, v->facts.n_keys ? &v->facts.key[0] : &none, reason, BOOT_NOT_OPENED);
    if (e != ERR_OK)
        screen_remark("The firmware kept no record of the failed attempts.");
}
