/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/model.h"
#include "efi/model_parts.h"
#include "efi/sentence.h"
#include <string.h>

void model_say(struct model *m, enum model_tone tone, const char *what)
{
    struct sentence s;
    sentence_init(&s, m->message, sizeof m->message);
    sentence_add(&s, what);
    m->tone = tone;
}

void model_sound(struct model *m, enum sound sound)
{
    m->sound = sound;
    m->n_sounds++;
}

static const char *resting_sentence(const struct model *m)
{
    if (m->phase == MODEL_NO_VOLUME)
        return "No locked disk was found. Plug in what is missing and press R to look again.";
    if (m->copying)
        return "The digits will open this volume to copy its files to a USB stick; the computer is not "
               "started "
               "then. U changes back.";
    return "";
}

bool model_group_wrong(const struct model *m, unsigned g)
{
    return model_group_state(m, g) == GROUP_WRONG;
}

void model_name_wrong_groups(struct model *m)
{
    struct sentence s;
    unsigned n = 0, seen = 0;
    for (unsigned g = 0; g < RP_GROUPS; g++)
        n += model_group_wrong(m, g);
    if (n == 0) {
        model_say(m, m->copying ? TONE_ASK : TONE_QUIET, resting_sentence(m));
        return;
    }
    sentence_init(&s, m->message, sizeof m->message);
    sentence_add(&s, n == 1 ? "Group " : "Groups ");
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        if (!model_group_wrong(m, g))
            continue;
        if (seen++)
            sentence_add(&s, seen == n ? " and " : ", ");
        sentence_add_u64(&s, g + 1);
    }
    sentence_add(&s, n == 1 ? " is not right: check it against what you were given."
                            : " are not right: check them against what you were given.");
    sentence_add(&s, " Enter takes you there.");
    m->tone = TONE_BAD;
}

void model_init(struct model *m, bool has_volume)
{
    cr_wipe(m, sizeof *m);
    m->phase = m->back = has_volume ? MODEL_ENTRY : MODEL_NO_VOLUME;
    model_say(m, TONE_QUIET, resting_sentence(m));
}

void model_wipe(struct model *m)
{
    struct model kept = {.phase = MODEL_ENTRY,
                         .back = MODEL_ENTRY,
                         .tone = TONE_QUIET,
                         .opened = m->opened,
                         .may_copy = m->may_copy,
                         .quiet = m->quiet,
                         .sound = m->sound,
                         .n_sounds = m->n_sounds};
    memcpy(kept.next, m->next, sizeof kept.next);
    cr_wipe(m, sizeof *m);
    *m = kept;
}

void model_has_volume(struct model *m, bool has_volume)
{
    m->phase = m->back = has_volume ? MODEL_ENTRY : MODEL_NO_VOLUME;
    m->tried = false;
    model_name_wrong_groups(m);
}

enum group_state model_group_state(const struct model *m, unsigned group)
{
    const struct model_group *g = &m->group[group];
    uint16_t word;
    if (g->n == 0)
        return GROUP_EMPTY;
    if (g->n < MODEL_DIGITS)
        return GROUP_PARTIAL;
    enum err e = rp_group_decode(g->digit, &word);
    cr_wipe(&word, sizeof word);
    if (e == ERR_OK)
        return GROUP_GOOD;
    return m->overtyping && group == m->at ? GROUP_PARTIAL : GROUP_WRONG;
}

bool model_is_empty(const struct model *m)
{
    unsigned n = 0;
    for (unsigned g = 0; g < RP_GROUPS; g++)
        n += m->group[g].n;
    return n == 0;
}

bool model_all_good(const struct model *m)
{
    for (unsigned g = 0; g < RP_GROUPS; g++)
        if (model_group_state(m, g) != GROUP_GOOD)
            return false;
    return true;
}

enum err model_password(const struct model *m, struct secret *ret)
{
    SECRET(digits);
    unsigned wrong;
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        memcpy(digits.bytes + digits.len, m->group[g].digit, m->group[g].n);
        digits.len += m->group[g].n;
    }
    return rp_decode((const char *)digits.bytes, digits.len, ret, &wrong);
}

void model_move_to(struct model *m, unsigned group, unsigned pos)
{
    if (group != m->at || pos == MODEL_DIGITS)
        m->overtyping = false;
    m->at = group;
    m->pos = pos;
}

void model_fill(struct model *m, const struct secret *digits)
{
    for (unsigned g = 0; g < RP_GROUPS && digits->len == RP_DIGITS; g++) {
        memcpy(m->group[g].digit, digits->bytes + (size_t)g * MODEL_DIGITS, MODEL_DIGITS);
        m->group[g].n = MODEL_DIGITS;
    }
    m->overtyping = m->tried = false;
    model_move_to(m, RP_GROUPS - 1, MODEL_DIGITS);
    model_name_wrong_groups(m);
}

void model_again(struct model *m, bool has_volume)
{
    model_wipe(m);
    model_has_volume(m, has_volume);
}

void model_copying(struct model *m, bool copying)
{
    m->copying = copying;
    m->tried = false;
    model_name_wrong_groups(m);
}

void model_failed(struct model *m, bool wrong, const char *why)
{
    m->phase = m->back = MODEL_ENTRY;
    m->tried = wrong;
    model_sound(m, SOUND_NOT_OPENED);
    if (model_all_good(m))
        model_move_to(m, RP_GROUPS - 1, MODEL_DIGITS); /* else the cursor stays with what is being typed */
    model_say(m, TONE_BAD, why);
}

void model_progress(struct model *m, enum model_phase phase, const char *what)
{
    m->phase = phase;
    if (phase == MODEL_OPENED)
        model_sound(m, SOUND_OPENED);
    model_say(m, phase == MODEL_OPENED ? TONE_GOOD : TONE_ASK, what);
}

/* What is heard when they come on says what they mean. */
static void switch_tones(struct model *m)
{
    m->quiet = !m->quiet;
    model_say(
        m, TONE_ASK,
        m->quiet
            ? "Tones are off. T switches them on."
            : "Tones are on, where the computer has a speaker: high, the group is right; low twice, it is "
              "not; three rising, open; three falling, not open. T switches them off.");
    model_sound(m, SOUND_GROUP_GOOD);
}

/* The keys that mean the same with and without a volume. */
static enum model_action anywhere(struct model *m, enum key key)
{
    switch (key) {
    case KEY_BOOT:
    case KEY_ESC:
        model_ask(m, MODEL_ASK_BOOT);
        return MODEL_NOTHING;
    case KEY_OFF:
        model_ask(m, MODEL_ASK_OFF);
        return MODEL_NOTHING;
    case KEY_SETUP:
        model_ask(m, MODEL_ASK_SETUP);
        return MODEL_NOTHING;
    case KEY_RESCAN:
        return MODEL_RESCAN;
    case KEY_LIST:
        return MODEL_OPEN_LIST;
    case KEY_TONES:
        switch_tones(m);
        return MODEL_NOTHING;
    case KEY_CONTRAST:
        return MODEL_RECOLOR;
    case KEY_COPY:
        return MODEL_COPY;
    default:
        return m->phase == MODEL_ENTRY ? model_entry_key(m, key) : MODEL_NOTHING;
    }
}

enum model_action model_key(struct model *m, enum key key)
{
    switch (m->phase) {
    case MODEL_ENTRY:
    case MODEL_NO_VOLUME:
        return anywhere(m, key);
    case MODEL_OPENING:
    case MODEL_OPENED:
        return MODEL_NOTHING;
    default:
        return model_page_key(m, key);
    }
}
