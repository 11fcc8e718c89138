/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The text look: plain lines, as a teletype would print them, so that logs and screen readers can follow;
 * only the line of digits is rewritten in place. */
#include "efi/console.h"
#include "efi/screen.h"
#include "efi/sentence.h"
#include <string.h>

static char shown[MODEL_MESSAGE]; /* the model's message as printed last */
static enum model_phase shown_phase;
static const struct content *content;

void screen_text_open(bool with_main)
{
    console_find(with_main);
}

static void put_head(struct console *c, const struct content *t)
{
    console_put(c, t->org);
    console_put(c, t->org[0] ? " - disk recovery" : "Disk recovery");
    console_put(c, t->computer[0] ? " - " : "");
    console_put(c, t->computer);
    console_put(c, "\n\n");
    console_put_paragraph(c, "", t->reason);
    console_put(c, "\n");
    if (t->key_id[0]) {
        console_put(c, "  Key ID    ");
        console_put(c, t->key_id);
        if (t->also[0])
            console_put(c, "  ");
        console_put(c, t->also);
        console_put(c, "\n");
    }
    console_put_paragraph(c, "  Disk      ", t->volume);
    for (unsigned i = 0; i < t->n_list; i++)
        console_put_paragraph(c, i == t->list_at ? "          > " : "            ", t->list[i]);
    console_put_paragraph(c, "            ", t->count);
    console_put_paragraph(c, "  Address   ", t->url);
    if (t->url[0])
        console_put_paragraph(c, "            ", "Check that this is your organisation's address.");
    console_put(c, "\n");
}

static void put_steps(struct console *c, const struct content *t)
{
    static const char *const number[CONTENT_STEPS] = {"  1. ", "  2. ", "  3. "};
    if (t->message[0]) {
        console_put_paragraph(c, "  ", t->message);
        console_put(c, "\n");
    }
    for (unsigned i = 0; t->has_volume && i < CONTENT_STEPS; i++)
        console_put_paragraph(c, number[i], content_step(t, i, false));
    if (t->note[0]) {
        console_put(c, "\n");
        console_put_paragraph(c, "  ", t->note);
    }
    console_put(c, "\n");
    console_put_paragraph(c, "  ", content_keys(t, false));
    console_put(c, "\n");
}

/* "> ******-**____-…"; '!' stands behind a wrong group. Serial lines are logged by other machines, so digits
 * are shown only when somebody asks for them. */
static void make_entry(const struct model *m, char ret[static CONSOLE_ENTRY_LEN + 1])
{
    char *p = ret;
    *p++ = '>';
    *p++ = ' ';
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        for (unsigned i = 0; i < MODEL_DIGITS; i++)
            *p++ = i >= m->group[g].n ? '_' : m->reveal ? m->group[g].digit[i] : '*';
        *p++ = model_group_state(m, g) == GROUP_WRONG ? '!' : g < RP_GROUPS - 1 ? '-' : ' ';
    }
    *p = '\0';
}

/* Column of the cursor in that line. */
static UINTN cursor_column(const struct model *m)
{
    return 2 + m->at * (MODEL_DIGITS + 1) + m->pos;
}

static void start_entry(struct console *c, const struct model *m)
{
    make_entry(m, c->entry);
    console_put(c, c->entry);
    c->started = true;
    c->revealed |= m->reveal;
    c->out->SetCursorPosition(c->out, cursor_column(m), (UINTN)c->out->Mode->CursorRow);
}

/* Only what differs is sent: a serial line at 9600 baud takes a millisecond for each character. */
static void update_entry(struct console *c, const struct model *m)
{
    char now[CONSOLE_ENTRY_LEN + 1];
    size_t from = 0, to = CONSOLE_ENTRY_LEN;
    UINTN row = (UINTN)c->out->Mode->CursorRow;
    make_entry(m, now);
    c->revealed |= m->reveal;
    while (from < CONSOLE_ENTRY_LEN && now[from] == c->entry[from])
        from++;
    while (to > from && now[to - 1] == c->entry[to - 1])
        to--;
    if (to > from) {
        if ((UINTN)c->out->Mode->CursorColumn != from)
            c->out->SetCursorPosition(c->out, from, row);
        console_put_some(c, now + from, to - from);
    }
    memcpy(c->entry, now, sizeof now);
    cr_wipe(now, sizeof now);
    if ((UINTN)c->out->Mode->CursorColumn != cursor_column(m))
        c->out->SetCursorPosition(c->out, cursor_column(m), row);
}

static bool wants_digits(const struct model *m)
{
    return m->phase == MODEL_ENTRY;
}

/* Once, just before the first prompt: how long a person had to wait for it. */
static void put_ready(struct console *c)
{
    struct sentence s;
    char line[CONSOLE_COLUMNS];
    sentence_init(&s, line, sizeof line);
    sentence_add(&s, "ready after ");
    sentence_add_u64(&s, firmware_uptime_ms());
    sentence_add(&s, " ms\n");
    console_put(c, line);
}

static void put_message(struct console *c, const struct model *m)
{
    if (c->started)
        console_put(c, "\n");
    c->started = false;
    if (m->message[0])
        console_put_paragraph(c, "  ", m->message);
    if (wants_digits(m))
        start_entry(c, m);
}

static void remember(const struct model *m)
{
    memcpy(shown, m->message, sizeof shown);
    shown_phase = m->phase;
}

/* All lines once; then the message says which one is meant. */
static void put_menu(struct console *c, const struct menu *menu)
{
    if (c->started)
        console_put(c, "\n");
    c->started = false;
    for (unsigned i = 0; i < menu->n; i++) {
        char label[8];
        struct sentence s;
        sentence_init(&s, label, sizeof label);
        sentence_add(&s, i < 9 ? "   " : "  ");
        sentence_add_u64(&s, i + 1);
        sentence_add(&s, ". ");
        console_put_paragraph(c, label, menu->line[i]);
    }
}

void screen_text_show(const struct content *t, const struct model *m)
{
    static bool ready;
    content = t;
    console_drop_unplugged();
    for (unsigned i = 0; i < console_n; i++) {
        struct console *c = &console[i];
        c->out->SetAttribute(c->out, EFI_LIGHTGRAY | EFI_BACKGROUND_BLACK);
        c->out->ClearScreen(c->out);
        c->out->EnableCursor(c->out, TRUE);
        c->started = c->revealed = false;
        put_head(c, t);
        put_steps(c, t);
        if (!ready)
            put_ready(c);
        put_message(c, m);
    }
    ready = true;
    remember(m);
}

/* Digits that are not to be seen any more may stand in lines above, too. */
static bool must_hide(const struct model *m)
{
    for (unsigned i = 0; i < console_n; i++)
        if (console[i].revealed && !m->reveal)
            return content != NULL;
    return false;
}

void screen_text_update(const struct model *m)
{
    bool news = strcmp(shown, m->message) != 0;
    console_drop_unplugged();
    if (must_hide(m)) {
        screen_text_show(content, m);
        return;
    }
    for (unsigned i = 0; i < console_n; i++) {
        if (m->phase == MODEL_LIST && shown_phase != MODEL_LIST)
            put_menu(&console[i], m->menu);
        if (console[i].started && wants_digits(m))
            update_entry(&console[i], m);
        /* a message that went away needs no new line */
        if (news && (m->message[0] || !console[i].started))
            put_message(&console[i], m);
    }
    remember(m);
}

void screen_text_remark(const char *line)
{
    console_drop_unplugged();
    for (unsigned i = 0; i < console_n; i++) {
        struct console *c = &console[i];
        console_put(c, c->started ? "\n" : "");
        console_put(c, line);
        console_put(c, "\n");
        console_put(c, c->started ? c->entry : "");
    }
}

void screen_text_close(void)
{
    console_drop_unplugged();
    for (unsigned i = 0; i < console_n; i++) {
        console_put(&console[i], "\n");
        if (console[i].revealed)
            console[i].out->ClearScreen(console[i].out);
        cr_wipe(console[i].entry, sizeof console[i].entry);
    }
}
