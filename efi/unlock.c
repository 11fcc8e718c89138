/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/unlock.h"
#include "efi/keyboard.h"
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

static bool show_step(void *ctx, unsigned slot, bool recovery)
{
    struct model *m = ctx;
    if (m->phase == MODEL_OPENING && stop_wanted())
        return false;
    struct sentence s;
    char line[MODEL_MESSAGE];
    sentence_init(&s, line, sizeof line);
    sentence_add(&s, recovery ? "Opening the disk with its recovery key (keyslot "
                              : "The recovery key did not open it; trying the other keys (keyslot ");
    sentence_add_u64(&s, slot);
    sentence_add(&s, recovery ? "). This takes a few seconds." : "). Esc stops.");
    model_progress(m, MODEL_OPENING, line);
    screen_update(m);
    return true;
}

/* "Left out, because they would take minutes: keyslots 3, 4." */
static void name_slow_slots(struct sentence *s, uint32_t slots)
{
    unsigned named = 0;
    if (slots == 0)
        return;
    sentence_add(s, " Left out as too slow: keyslot ");
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
    sentence_add(s, ".");
}

static void explain_failure(struct model *m, const struct volume *v, enum err e, uint32_t too_slow)
{
    struct sentence s;
    char line[MODEL_MESSAGE], id[9];
    sentence_init(&s, line, sizeof line);
    if (e == ERR_AUTH) {
        guid_short(&volume_token(v)->key_id, id);
        sentence_add(
            &s, "The digits are well-formed, but they are not the recovery password of this volume (key ID ");
        sentence_add(&s, id);
        sentence_add(&s, "). Compare the key ID with the one you were asked for.");
    } else if (e == ERR_UNSUPPORTED) {
        sentence_add(
            &s,
            "This volume has no keyslot that can be opened here. Nothing was changed; ask your help desk.");
    } else if (e == ERR_BUSY) {
        sentence_add(&s, "Stopped before every keyslot was tried. Nothing was changed.");
    } else {
        sentence_add(&s, "The volume could not be opened: ");
        sentence_add(&s, err_text(e));
        sentence_add(&s, ". Nothing was changed. Press R to look at the disk again.");
    }
    name_slow_slots(&s, too_slow);
    model_failed(m, e == ERR_AUTH || e == ERR_UNSUPPORTED, line);
}

static enum err leave_word(const struct volume *v, const struct guid *key_id, uint8_t reason,
                           enum boot_result result)
{
    const struct boot_event e = {.key_id = *key_id,
                                 .volume = v->luks.uuid,
                                 .time = firmware_time(),
                                 .result = (uint8_t)result,
                                 .reason = reason,
                                 .attempts = (uint16_t)(v->attempts < UINT16_MAX ? v->attempts : UINT16_MAX)};
    return variables_event(&e);
}

static void opened(struct volume *v, struct model *m, uint8_t reason, const struct secret *password,
                   const struct guid *key_id)
{
    struct sentence s;
    char line[MODEL_MESSAGE];
    enum err handed = variables_hand_off(&v->luks.uuid, key_id, password->bytes);
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
    model_notice(m, TONE_ASK, line);
}

static void remark_time(uint64_t ms)
{
    struct sentence s;
    char line[64];
    sentence_init(&s, line, sizeof line);
    sentence_add(&s, "opened after ");
    sentence_add_u64(&s, ms);
    sentence_add(&s, " ms");
    screen_remark(line);
}

void unlock_try(struct volume *v, struct model *m, uint8_t reason)
{
    SECRET(password);
    struct guid key_id;
    struct volume_progress progress = {.step = show_step, .ctx = m};
    uint64_t start = firmware_uptime_ms();
    enum err e = model_password(m, &password);
    if (e == ERR_OK)
        e = volume_open(v, password.bytes, &progress, &key_id);
    if (e == ERR_OK)
        remark_time(firmware_uptime_ms() - start);
    if (e == ERR_AUTH)
        v->attempts++;
    if (e == ERR_OK)
        opened(v, m, reason, &password, &key_id);
    else
        explain_failure(m, v, e, progress.too_slow);
}

void unlock_gave_up(const struct volume *v, uint8_t reason)
{
    enum err e = leave_word(v, &volume_token(v)->key_id, reason, BOOT_NOT_OPENED);
    if (e != ERR_OK)
        screen_remark("The firmware kept no record of the failed attempts.");
}
