/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/console.h"
#include "efi/characters.h"
#include <string.h>

#define SEND_TRIES    50
#define SEND_PAUSE_US 1000

struct console console[CONSOLE_MAX];
unsigned console_n;

static const EFI_GUID text_out = EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL_GUID;

static void add_console(EFI_HANDLE handle, SIMPLE_TEXT_OUTPUT_INTERFACE *out)
{
    if (out && console_n < CONSOLE_MAX)
        console[console_n++] = (struct console){.handle = handle, .out = out};
}

void console_drop_unplugged(void)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < console_n; i++)
        if (!console[i].handle || firmware_protocol(console[i].handle, &text_out) == console[i].out)
            console[kept++] = console[i];
    cr_wipe(console + kept, (console_n - kept) * sizeof *console);
    console_n = kept;
}

void console_find(bool with_main)
{
    static const EFI_GUID gop = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID,
                          active = {
                              0xd3b36f2c, 0xd551, 0x11d4, {0x9a, 0x46, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}};
    UINTN n;
    console_n = 0;
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

void console_put_some(struct console *c, const char *text, size_t len)
{
    CHAR16 wide[CONSOLE_COLUMNS + 1];
    const char *end = text + len;
    while (text < end && *text) {
        size_t n = 0;
        while (text < end && *text && *text != '\n' && n < CONSOLE_COLUMNS)
            wide[n++] = characters_plain(characters_next(&text));
        wide[n] = 0;
        send(c, wide, n);
        if (text < end && *text == '\n')
            text += put_line_break(c);
    }
    cr_wipe(wide, sizeof wide);
}

void console_put(struct console *c, const char *text)
{
    console_put_some(c, text, strlen(text));
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

void console_put_paragraph(struct console *c, const char *label, const char *text)
{
    size_t indent = strlen(label);
    bool first = true;
    while (*text) {
        size_t len = line_len(text, CONSOLE_COLUMNS - indent);
        if (first)
            console_put(c, label);
        else
            console_put_some(c, "            ", indent < 12 ? indent : 12);
        console_put_some(c, text, len);
        console_put(c, "\n");
        text += len;
        while (*text == ' ' || *text == '\n')
            text++;
        first = false;
    }
}
