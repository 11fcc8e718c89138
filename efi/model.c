/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/model.h"
#include "efi/sentence.h"
#include <string.h>

static void say(struct model *m, enum model_tone tone, const char *what)
{
    struct sentence s;
    sentence_init(&s, m->message, sizeof m->message);
    sentence_add(&s, what);
    m->tone = tone;
}

static const char *resting_sentence(const struct model *m)
{
    if (m->phase == MODEL_NO_VOLUME)
        return "No locked disk was found. Plug in what is missing and press R to look again.";
    return "";
}

static bool group_wrong(const struct model *m, unsigned g)
{
    return model_group_state(m, g) == GROUP_WRONG;
}

/* "Group 3 is not right", "Groups 3 and 5 are not right", with what to do about it. */
static void name_wrong_groups(struct model *m)
{
    struct sentence s;
    unsigned n = 0, seen = 0;
    for (unsigned g = 0; g < RP_GROUPS; g++)
        n += group_wrong(m, g);
    if (n == 0) {
        say(m, TONE_QUIET, resting_sentence(m));
        return;
    }
    sentence_init(&s, m->message, sizeof m->message);
    sentence_add(&s, n == 1 ? "Group " : "Groups ");
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        if (!group_wrong(m, g))
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
    say(m, TONE_QUIET, resting_sentence(m));
}

void model_wipe(struct model *m)
{
    struct model kept = {.phase = MODEL_ENTRY, .back = MODEL_ENTRY, .tone = TONE_QUIET, .opened = m->opened};
    memcpy(kept.next, m->next, sizeof kept.next);
    cr_wipe(m, sizeof *m);
    *m = kept;
}

void model_has_volume(struct model *m, bool has_volume)
{
    m->phase = m->back = has_volume ? MODEL_ENTRY : MODEL_NO_VOLUME;
    m->tried = false;
    name_wrong_groups(m);
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

static bool all_good(const struct model *m)
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

static void move_to(struct model *m, unsigned group, unsigned pos)
{
    if (group != m->at || pos == MODEL_DIGITS)
        m->overtyping = false;
    m->at = group;
    m->pos = pos;
}

static enum model_action type_digit(struct model *m, char digit)
{
    if (m->pos == MODEL_DIGITS) {
        if (m->at == RP_GROUPS - 1)
            return MODEL_NOTHING; /* a 49th digit */
        move_to(m, m->at + 1, 0);
    }
    struct model_group *g = &m->group[m->at];
    if (g->n < MODEL_DIGITS) {
        memmove(g->digit + m->pos + 1, g->digit + m->pos, g->n - m->pos);
        g->n++;
    } else {
        m->overtyping = true;
    }
    g->digit[m->pos] = digit;
    move_to(m, m->at, m->pos + 1);
    m->tried = false;
    if (m->pos == MODEL_DIGITS && m->at < RP_GROUPS - 1)
        move_to(m, m->at + 1, 0);
    name_wrong_groups(m);
    bool at_an_end = m->pos == MODEL_DIGITS || m->pos == 0;
    return at_an_end && all_good(m) ? MODEL_OPEN : MODEL_NOTHING;
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
        move_to(m, m->at - 1, m->group[m->at - 1].n);
    if (m->pos > 0)
        remove_at(m, m->pos - 1);
    m->overtyping = false;
    name_wrong_groups(m);
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
    name_wrong_groups(m);
}

static void move_cursor(struct model *m, enum key key)
{
    unsigned n = m->group[m->at].n;
    if (key == KEY_LEFT && m->pos > 0)
        move_to(m, m->at, m->pos - 1);
    else if (key == KEY_LEFT && m->at > 0)
        move_to(m, m->at - 1, m->group[m->at - 1].n);
    else if (key == KEY_RIGHT && m->pos < n)
        move_to(m, m->at, m->pos + 1);
    else if ((key == KEY_RIGHT || key == KEY_DOWN) && m->at < RP_GROUPS - 1)
        move_to(m, m->at + 1, 0);
    else if (key == KEY_UP)
        move_to(m, m->at > 0 ? m->at - 1 : 0, 0);
    else if (key == KEY_HOME)
        move_to(m, 0, 0);
    else if (key == KEY_END)
        move_to(m, RP_GROUPS - 1, m->group[RP_GROUPS - 1].n);
    name_wrong_groups(m);
}

/* Enter is "what is next": the first wrong group, else the first incomplete one, else open. */
static enum model_action enter(struct model *m)
{
    struct sentence s;
    m->overtyping = false;
    if (m->keyless && model_is_empty(m))
        return MODEL_OPEN;
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        if (!group_wrong(m, g))
            continue;
        name_wrong_groups(m);
        move_to(m, g, 0);
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
        move_to(m, g, n);
        return MODEL_NOTHING;
    }
    return m->tried ? MODEL_NOTHING : MODEL_OPEN;
}

/* "Start "Debian" without opening the disk? …" */
static void ask_boot(struct model *m)
{
    struct sentence s;
    sentence_init(&s, m->message, sizeof m->message);
    sentence_add(&s, m->next[0] ? "Start \"" : "Start the computer");
    sentence_add(&s, m->next);
    sentence_add(&s, m->next[0] ? "\"" : "");
    sentence_add(&s, m->opened ? " now? What was opened can be read until an operating system takes over. "
                               : " without opening the disk? It will ask for its passphrase. ");
    sentence_add(&s, "Enter: yes, start.  Esc or N: no, stay here.");
    m->tone = TONE_ASK;
}

static void ask(struct model *m, enum model_phase question)
{
    m->phase = question;
    if (question == MODEL_ASK_BOOT)
        ask_boot(m);
    else
        say(m, TONE_ASK,
            question == MODEL_ASK_OFF
                ? "Turn the computer off? Nothing on the disk changes.  Enter: yes, turn off.  Esc or N: no, "
                  "stay here."
                : "Restart into the firmware's settings? Nothing on the disk changes.  Enter: yes.  Esc or "
                  "N: no, "
                  "stay here.");
}

/* Both looks say which line it is; the graphics show the others, too. */
static void say_line(struct model *m)
{
    struct sentence s;
    sentence_init(&s, m->message, sizeof m->message);
    sentence_add_u64(&s, m->menu_at + 1);
    sentence_add(&s, " of ");
    sentence_add_u64(&s, m->menu->n);
    sentence_add(&s, ": ");
    sentence_add(&s, m->menu->line[m->menu_at]);
    sentence_add(&s, "   Arrows move, Enter chooses, Esc goes back.");
    m->tone = TONE_ASK;
}

void model_list(struct model *m, const struct menu *menu, unsigned at)
{
    if (menu->n == 0)
        return;
    m->phase = MODEL_LIST;
    m->menu = menu;
    m->menu_at = at < menu->n ? at : 0;
    say_line(m);
}

void model_next(struct model *m, const char *name, bool now)
{
    struct sentence s;
    sentence_init(&s, m->next, sizeof m->next);
    sentence_add(&s, name);
    if (now)
        ask(m, MODEL_ASK_BOOT);
}

bool model_offer(struct model *m, const char *what)
{
    if (m->phase != MODEL_ENTRY)
        return false;
    m->phase = MODEL_OFFER;
    say(m, TONE_ASK, what);
    return true;
}

void model_fill(struct model *m, const struct secret *digits)
{
    for (unsigned g = 0; g < RP_GROUPS && digits->len == RP_DIGITS; g++) {
        memcpy(m->group[g].digit, digits->bytes + (size_t)g * MODEL_DIGITS, MODEL_DIGITS);
        m->group[g].n = MODEL_DIGITS;
    }
    m->overtyping = m->tried = false;
    move_to(m, RP_GROUPS - 1, MODEL_DIGITS);
    name_wrong_groups(m);
}

void model_again(struct model *m, bool has_volume)
{
    model_wipe(m);
    model_has_volume(m, has_volume);
}

static enum model_action back(struct model *m, enum model_action what)
{
    m->phase = m->back;
    name_wrong_groups(m);
    return what;
}

static enum model_action list_key(struct model *m, enum key key)
{
    unsigned last = m->menu->n - 1;
    if (key == KEY_ENTER)
        return back(m, MODEL_PICKED);
    if (key == KEY_ESC || key == KEY_BACKSPACE || key == KEY_NO || key == KEY_LIST)
        return back(m, MODEL_NOTHING);
    if (key == KEY_UP || key == KEY_LEFT)
        m->menu_at = m->menu_at ? m->menu_at - 1 : last;
    else if (key == KEY_DOWN || key == KEY_RIGHT || key == KEY_TAB)
        m->menu_at = m->menu_at < last ? m->menu_at + 1 : 0;
    else if (key == KEY_HOME)
        m->menu_at = 0;
    else if (key == KEY_END)
        m->menu_at = last;
    else if (key > KEY_0 && key <= KEY_9 && (unsigned)(key - KEY_0) <= m->menu->n)
        m->menu_at = (unsigned)(key - KEY_0) - 1;
    say_line(m);
    return MODEL_NOTHING;
}

static enum model_action offer_key(struct model *m, enum key key)
{
    if (key == KEY_ENTER)
        return back(m, MODEL_TAKE);
    bool digit = key >= KEY_0 && key <= KEY_9;
    if (key != KEY_ESC && key != KEY_NO && key != KEY_BACKSPACE && !digit)
        return MODEL_NOTHING;
    back(m, MODEL_REFUSED);
    /* who goes on typing does not want it, and the digit is not lost */
    enum model_action typed = digit ? model_key(m, key) : MODEL_NOTHING;
    return typed == MODEL_OPEN ? MODEL_OPEN : MODEL_REFUSED;
}

static enum model_action answer(struct model *m, enum key key)
{
    enum model_action yes = m->phase == MODEL_ASK_BOOT  ? MODEL_BOOT
                            : m->phase == MODEL_ASK_OFF ? MODEL_OFF
                                                        : MODEL_SETUP;
    if (key == KEY_ENTER) /* not a letter: Y is elsewhere on other keyboards */
        return yes;
    bool digit = key >= KEY_0 && key <= KEY_9;
    if (key != KEY_NO && key != KEY_ESC && key != KEY_BACKSPACE && !digit)
        return MODEL_NOTHING;
    m->phase = m->back;
    name_wrong_groups(m);
    /* who goes on typing wants to stay, and the digit is not lost */
    return digit ? model_key(m, key) : MODEL_NOTHING;
}

static enum model_action entry_key(struct model *m, enum key key)
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

/* The keys that mean the same with and without a volume. */
static enum model_action anywhere(struct model *m, enum key key)
{
    switch (key) {
    case KEY_BOOT:
    case KEY_ESC:
        ask(m, MODEL_ASK_BOOT);
        return MODEL_NOTHING;
    case KEY_OFF:
        ask(m, MODEL_ASK_OFF);
        return MODEL_NOTHING;
    case KEY_SETUP:
        ask(m, MODEL_ASK_SETUP);
        return MODEL_NOTHING;
    case KEY_RESCAN:
        return MODEL_RESCAN;
    case KEY_LIST:
        return MODEL_OPEN_LIST;
    case KEY_CONTRAST:
        return MODEL_RECOLOR;
    default:
        return m->phase == MODEL_ENTRY ? entry_key(m, key) : MODEL_NOTHING;
    }
}

enum model_action model_key(struct model *m, enum key key)
{
    if (m->phase == MODEL_NOTICE)
        return key == KEY_ENTER ? MODEL_GO_ON : MODEL_NOTHING;
    if (m->phase == MODEL_ASK_BOOT || m->phase == MODEL_ASK_OFF || m->phase == MODEL_ASK_SETUP)
        return answer(m, key);
    if (m->phase == MODEL_LIST)
        return list_key(m, key);
    if (m->phase == MODEL_OFFER)
        return offer_key(m, key);
    if (m->phase != MODEL_ENTRY && m->phase != MODEL_NO_VOLUME)
        return MODEL_NOTHING;
    return anywhere(m, key);
}

void model_failed(struct model *m, bool wrong, const char *why)
{
    m->phase = m->back = MODEL_ENTRY;
    m->tried = wrong;
    if (all_good(m))
        move_to(m, RP_GROUPS - 1, MODEL_DIGITS); /* else the cursor stays with what is being typed */
    say(m, TONE_BAD, why);
}

void model_progress(struct model *m, enum model_phase phase, const char *what)
{
    m->phase = phase;
    say(m, phase == MODEL_OPENED ? TONE_GOOD : TONE_ASK, what);
}

void model_notice(struct model *m, enum model_tone tone, const char *what)
{
    m->phase = MODEL_NOTICE;
    say(m, tone, what);
}
