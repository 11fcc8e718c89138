/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Pages that ask something or give something to read; each returns to where it was called from. */
#include "efi/model_parts.h"
#include "efi/sentence.h"

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

void model_ask(struct model *m, enum model_phase question)
{
    m->phase = question;
    if (question == MODEL_ASK_BOOT)
        ask_boot(m);
    else
        model_say(
            m, TONE_ASK,
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
        model_ask(m, MODEL_ASK_BOOT);
}

bool model_offer(struct model *m, const char *what)
{
    if (m->phase != MODEL_ENTRY)
        return false;
    m->phase = MODEL_OFFER;
    model_say(m, TONE_ASK, what);
    return true;
}

void model_notice(struct model *m, enum model_tone tone, const char *what)
{
    m->phase = MODEL_NOTICE;
    model_say(m, tone, what);
}

void model_unlocked(struct model *m, enum model_tone tone, const char *what, enum model_action then)
{
    m->phase = MODEL_UNLOCKED;
    m->then = then;
    model_sound(m, SOUND_OPENED);
    model_say(m, tone, what);
}

static enum model_action back(struct model *m, enum model_action what)
{
    m->phase = m->back;
    model_name_wrong_groups(m);
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
    model_name_wrong_groups(m);
    /* who goes on typing wants to stay, and the digit is not lost */
    return digit ? model_key(m, key) : MODEL_NOTHING;
}

/* After opening: each thing that can be done with the volume has its key here. */
static enum model_action unlocked_key(const struct model *m, enum key key)
{
    switch (key) {
    case KEY_ENTER:
        return m->then;
    case KEY_COPY:
        return MODEL_COPY;
    case KEY_RESTART:
        return MODEL_RESTART;
    default:
        return MODEL_NOTHING;
    }
}

enum model_action model_page_key(struct model *m, enum key key)
{
    switch (m->phase) {
    case MODEL_NOTICE:
        return key == KEY_ENTER ? MODEL_GO_ON : MODEL_NOTHING;
    case MODEL_UNLOCKED:
        return unlocked_key(m, key);
    case MODEL_LIST:
        return list_key(m, key);
    case MODEL_OFFER:
        return offer_key(m, key);
    default:
        return answer(m, key);
    }
}
