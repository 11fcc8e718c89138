/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typing 48 digits: see model.h for how a group behaves. */
#include "efi/model_parts.h"
#include "efi/sentence.h"
#include <string.h>

/* A group is heard when it becomes right or wrong, and when its last place is typed anew. */
static void hear_group(struct model *m, unsigned group, enum group_state before, bool at_its_end)
{
    enum group_state now = model_group_state(m, group);
    if (now == before && !at_its_end)
        return;
    if (now == GROUP_GOOD || now == GROUP_WRONG)
        model_sound(m, now == GROUP_GOOD ? SOUND_GROUP_GOOD : SOUND_GROUP_BAD);
}

/* Into the group under the cursor, which moves on within it. */
static void put_digit(struct model *m, char digit)
{
    struct model_group *g = &m->group[m->at];
    enum group_state before = model_group_state(m, m->at);
    if (g->n < MODEL_DIGITS) {
        memmove(g->digit + m->pos + 1, g->digit + m->pos, g->n - m->pos);
        g->n++;
    } else {
        m->overtyping = true;
    }
    g->digit[m->pos] = digit;
    model_move_to(m, m->at, m->pos + 1);
    hear_group(m, m->at, before, m->pos == MODEL_DIGITS);
}

static enum model_action type_digit(struct model *m, char digit)
{
    if (m->pos == MODEL_DIGITS) {
        if (m->at == RP_GROUPS - 1)
            return MODEL_NOTHING; /* a 49th digit */
        model_move_to(m, m->at + 1, 0);
    }
    put_digit(m, digit);
    m->tried = false;
    if (m->pos == MODEL_DIGITS && m->at < RP_GROUPS - 1)
        model_move_to(m, m->at + 1, 0);
    model_name_wrong_groups(m);
    bool at_an_end = m->pos == MODEL_DIGITS || m->pos == 0;
    return at_an_end && model_all_good(m) ? MODEL_OPEN : MODEL_NOTHING;
}

static void remove_at(struct model *m, unsigned pos)
{
    struct model_group *g = &m->group[m->at];
    memmove(g->digit + pos, g->digit + pos + 1, g->n - pos - 1);
    g->n--;
    g->digit[g->n] = 0;
    m->pos = pos;
    m->tried = false;
}

static void backspace(struct model *m)
{
    if (m->pos == 0 && m->at > 0)
        model_move_to(m, m->at - 1, m->group[m->at - 1].n);
    if (m->pos > 0)
        remove_at(m, m->pos - 1);
    m->overtyping = false;
    model_name_wrong_groups(m);
}

/* Many terminals send Delete for the key above Enter, so at the end of a group it works backwards. */
static void delete_key(struct model *m)
{
    if (m->pos >= m->group[m->at].n) {
        backspace(m);
        return;
    }
    remove_at(m, m->pos);
    m->overtyping = false;
    model_name_wrong_groups(m);
}

static void move_cursor(struct model *m, enum key key)
{
    unsigned n = m->group[m->at].n;
    if (key == KEY_LEFT && m->pos > 0)
        model_move_to(m, m->at, m->pos - 1);
    else if (key == KEY_LEFT && m->at > 0)
        model_move_to(m, m->at - 1, m->group[m->at - 1].n);
    else if (key == KEY_RIGHT && m->pos < n)
        model_move_to(m, m->at, m->pos + 1);
    else if ((key == KEY_RIGHT || key == KEY_DOWN) && m->at < RP_GROUPS - 1)
        model_move_to(m, m->at + 1, 0);
    else if (key == KEY_UP)
        model_move_to(m, m->at > 0 ? m->at - 1 : 0, 0);
    else if (key == KEY_HOME)
        model_move_to(m, 0, 0);
    else if (key == KEY_END)
        model_move_to(m, RP_GROUPS - 1, m->group[RP_GROUPS - 1].n);
    model_name_wrong_groups(m);
}

/* Enter is "what is next": the first wrong group, else the first incomplete one, else open. */
static enum model_action enter(struct model *m)
{
    struct sentence s;
    m->overtyping = false;
    if (m->keyless && model_is_empty(m))
        return MODEL_OPEN;
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        if (!model_group_wrong(m, g))
            continue;
        model_name_wrong_groups(m);
        model_move_to(m, g, 0);
        model_sound(m, SOUND_GROUP_BAD);
        return MODEL_NOTHING;
    }
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        unsigned n = m->group[g].n;
        if (n == MODEL_DIGITS)
            continue;
        sentence_init(&s, m->message, sizeof m->message);
        sentence_add(&s, "Group ");
        sentence_add_u64(&s, g + 1);
        sentence_add(&s, n ? " is not complete: " : " is still empty");
        if (n) {
            sentence_add_u64(&s, MODEL_DIGITS - n);
            sentence_add(&s, n == MODEL_DIGITS - 1 ? " digit is missing" : " digits are missing");
        }
        sentence_add(&s, ".");
        m->tone = TONE_BAD;
        model_move_to(m, g, n);
        model_sound(m, SOUND_GROUP_BAD);
        return MODEL_NOTHING;
    }
    return m->tried ? MODEL_NOTHING : MODEL_OPEN;
}

enum model_action model_entry_key(struct model *m, enum key key)
{
    switch (key) {
    case KEY_0 ... KEY_9:
        return type_digit(m, (char)('0' + (key - KEY_0)));
    case KEY_BACKSPACE:
        backspace(m);
        return MODEL_NOTHING;
    case KEY_DELETE:
        delete_key(m);
        return MODEL_NOTHING;
    case KEY_LEFT ... KEY_END:
        move_cursor(m, key);
        return MODEL_NOTHING;
    case KEY_ENTER:
        return enter(m);
    case KEY_TAB:
        return MODEL_NEXT_VOLUME;
    case KEY_SHOW:
        m->reveal = !m->reveal;
        return MODEL_NOTHING;
    default:
        return MODEL_NOTHING;
    }
}
