/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The text look: plain lines, as a teletype would print them, so that logs and screen readers can follow;
 * only the line of digits is rewritten in place. */
#include "efi/characters.h"
#include "efi/firmware.h"
#include "efi/screen.h"
#include "efi/sentence.h"
#include <string.h>

#define CONSOLES_MAX  8
#define COLUMNS       76
#define SEND_TRIES    50
#define SEND_PAUSE_US 1000
#define ENTRY_LEN     (2 + RP_GROUPS * (MODEL_DIGITS + 1))

struct console {
    EFI_HANDLE handle; /* NULL for the main console, which stays */
    SIMPLE_TEXT_OUTPUT_INTERFACE *out;
    bool started;
    bool revealed;             /* digits may stand anywhere above the line of digits */
    char entry[ENTRY_LEN + 1]; /* what stands in the line of digits */
};

static struct console console[CONSOLES_MAX];
static unsigned n_consoles;
static char shown[MODEL_MESSAGE]; /* the model's message as printed last */
static enum model_phase shown_phase;
static const struct content *content;

static const EFI_GUID text_out = EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL_GUID;

static void add_console(EFI_HANDLE handle, SIMPLE_TEXT_OUTPUT_INTERFACE *out)
{
    if (out && n_consoles < CONSOLES_MAX)
        console[n_consoles++] = (struct console){.handle = handle, .out = out};
}

/* A serial adapter may have been unplugged, and its interface freed: forget it before anything is printed. */
static void drop_unplugged(void)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < n_consoles; i++)
        if (!console[i].handle || firmware_protocol(console[i].handle, &text_out) == console[i].out)
            console[kept++] = console[i];
    cr_wipe(console + kept, (n_consoles - kept) * sizeof *console);
    n_consoles = kept;
}

void screen_text_open(bool with_main)
{
    static const EFI_GUID gop = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID,
                          active = {
                              0xd3b36f2c, 0xd551, 0x11d4, {0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
    UINTN n;
    n_consoles = 0;
    if (with_main) {
        add_console(NULL, fw.st->ConOut); /* stands for all of them */
        return;
    }
    /* the tag that the firmware puts on consoles in use */
    EFI_HANDLE *h = firmware_handles(&active, &n);
    for (UINTN i = 0; i < n; i++)
        if (h[i] != fw.st->ConsoleOutHandle && !firmware_protocol(h[i], &gop))
            add_console(h[i], firmware_protocol(h[i], &text_out));
    firmware_free(h);
}

/* One output call's worth of characters, none of them a line break. A terminal driver gives up in the middle
 * when a slow line keeps it waiting; its cursor tells how far it came. */
static void send(struct console *c, CHAR16 *text, size_t n)
{
    size_t done = 0;
    for (int tries = 0; done < n && tries < SEND_TRIES; tries++) {
        INT32 column = c->out->Mode->CursorColumn;
        if (c->out->OutputString(c->out, text + done) == EFI_SUCCESS)
            return;
        INT32 moved = c->out->Mode->CursorColumn - column;
        done += moved > 0 ? (size_t)moved : 0;
        fw.bs->Stall(SEND_PAUSE_US);
    }
}

/* Gives the one byte that stands for it. */
static size_t put_line_break(struct console *c)
{
    CHAR16 step[2][2] = {{13, 0}, {10, 0}};
    for (int i = 0; i < 2; i++)
        for (int tries = 0; c->out->OutputString(c->out, step[i]) != EFI_SUCCESS && tries < SEND_TRIES;
             tries++)
            fw.bs->Stall(SEND_PAUSE_US);
    return 1;
}

/* UTF-8 text, at most len bytes of it. */
static void put(struct console *c, const char *text, size_t len)
{
    CHAR16 wide[COLUMNS + 1];
    const char *end = text + len;
    while (text < end && *text) {
        size_t n = 0;
        while (text < end && *text && *text != '\n' && n < COLUMNS)
            wide[n++] = characters_plain(characters_next(&text));
        wide[n] = 0;
        send(c, wide, n);
        if (text < end && *text == '\n')
            text += put_line_break(c);
    }
    cr_wipe(wide, sizeof wide);
}

static void put_text(struct console *c, const char *text)
{
    put(c, text, strlen(text));
}

/* Bytes that fit a line: up to the last space, or all of a long word that can be had. */
static size_t line_len(const char *text, size_t columns)
{
    size_t n = 0, fit = 0, at_space = 0;
    for (const char *p = text; *p && *p != '\n'; fit = (size_t)(p - text)) {
        if (*p == ' ')
            at_space = (size_t)(p - text);
        characters_next(&p);
        if (++n > columns)
            return at_space ? at_space : fit;
    }
    return fit;
}

/* A paragraph behind a label; further lines stand below the first. */
static void put_paragraph(struct console *c, const char *label, const char *text)
{
    size_t indent = strlen(label);
    bool first = true;
    while (*text) {
        size_t len = line_len(text, COLUMNS - indent);
        if (first)
            put_text(c, label);
        else
            put(c, "            ", indent < 12 ? indent : 12);
        put(c, text, len);
        put_text(c, "\n");
        text += len;
        while (*text == ' ' || *text == '\n')
            text++;
        first = false;
    }
}

static void put_head(struct console *c, const struct content *t)
{
    put_text(c, t->org);
    put_text(c, t->org[0] ? " - disk recovery" : "Disk recovery");
    put_text(c, t->computer[0] ? " - " : "");
    put_text(c, t->computer);
    put_text(c, "\n\n");
    put_paragraph(c, "", t->reason);
    put_text(c, "\n");
    if (t->key_id[0]) {
        put_text(c, "  Key ID    ");
        put_text(c, t->key_id);
        if (t->also[0])
            put_text(c, "  ");
        put_text(c, t->also);
        put_text(c, "\n");
    }
    put_paragraph(c, "  Disk      ", t->volume);
    for (unsigned i = 0; i < t->n_list; i++)
        put_paragraph(c, i == t->list_at ? "          > " : "            ", t->list[i]);
    put_paragraph(c, "            ", t->count);
    put_paragraph(c, "  Address   ", t->url);
    if (t->url[0])
        put_paragraph(c, "            ", "Check that this is your organisation's address.");
    put_text(c, "\n");
}

static void put_steps(struct console *c, const struct content *t)
{
    static const char *const number[CONTENT_STEPS] = {"  1. ", "  2. ", "  3. "};
    if (t->message[0]) {
        put_paragraph(c, "  ", t->message);
        put_text(c, "\n");
    }
    for (unsigned i = 0; t->has_volume && i < CONTENT_STEPS; i++)
        put_paragraph(c, number[i], content_step(t, i, false));
    if (t->note[0]) {
        put_text(c, "\n");
        put_paragraph(c, "  ", t->note);
    }
    put_text(c, "\n");
    put_paragraph(c, "  ", content_keys(t, false));
    put_text(c, "\n");
}

/* "> ******-**____-…"; '!' stands behind a wrong group. Serial lines are logged by other machines, so digits
 * are shown only when somebody asks for them. */
static void make_entry(const struct model *m, char ret[static ENTRY_LEN + 1])
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
    put_text(c, c->entry);
    c->started = true;
    c->revealed |= m->reveal;
    c->out->SetCursorPosition(c->out, cursor_column(m), (UINTN)c->out->Mode->CursorRow);
}

/* Only what differs is sent: a serial line at 9600 baud takes a millisecond for each character. */
static void update_entry(struct console *c, const struct model *m)
{
    char now[ENTRY_LEN + 1];
    size_t from = 0, to = ENTRY_LEN;
    UINTN row = (UINTN)c->out->Mode->CursorRow;
    make_entry(m, now);
    c->revealed |= m->reveal;
    while (from < ENTRY_LEN && now[from] == c->entry[from])
        from++;
    while (to > from && now[to - 1] == c->entry[to - 1])
        to--;
    if (to > from) {
        if ((UINTN)c->out->Mode->CursorColumn != from)
            c->out->SetCursorPosition(c->out, from, row);
        put(c, now + from, to - from);
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
    char line[COLUMNS];
    sentence_init(&s, line, sizeof line);
    sentence_add(&s, "ready after ");
    sentence_add_u64(&s, firmware_uptime_ms());
    sentence_add(&s, " ms\n");
    put_text(c, line);
}

static void put_message(struct console *c, const struct model *m)
{
    if (c->started)
        put_text(c, "\n");
    c->started = false;
    if (m->message[0])
        put_paragraph(c, "  ", m->message);
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
        put_text(c, "\n");
    c->started = false;
    for (unsigned i = 0; i < menu->n; i++) {
        char label[8];
        struct sentence s;
        sentence_init(&s, label, sizeof label);
        sentence_add(&s, i < 9 ? "   " : "  ");
        sentence_add_u64(&s, i + 1);
        sentence_add(&s, ". ");
        put_paragraph(c, label, menu->line[i]);
    }
}

void screen_text_show(const struct content *t, const struct model *m)
{
    static bool ready;
    content = t;
    drop_unplugged();
    for (unsigned i = 0; i < n_consoles; i++) {
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
    for (unsigned i = 0; i < n_consoles; i++)
        if (console[i].revealed && !m->reveal)
            return content != NULL;
    return false;
}

void screen_text_update(const struct model *m)
{
    bool news = strcmp(shown, m->message) != 0;
    drop_unplugged();
    if (must_hide(m)) {
        screen_text_show(content, m);
        return;
    }
    for (unsigned i = 0; i < n_consoles; i++) {
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
    drop_unplugged();
    for (unsigned i = 0; i < n_consoles; i++) {
        struct console *c = &console[i];
        put_text(c, c->started ? "\n" : "");
        put_text(c, line);
        put_text(c, "\n");
        put_text(c, c->started ? c->entry : "");
    }
}

void screen_text_close(void)
{
    drop_unplugged();
    for (unsigned i = 0; i < n_consoles; i++) {
        put_text(&console[i], "\n");
        if (console[i].revealed)
            console[i].out->ClearScreen(console[i].out);
        cr_wipe(console[i].entry, sizeof console[i].entry);
    }
}
