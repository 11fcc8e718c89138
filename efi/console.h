#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text consoles: those that show no graphics, serial lines above all, and plain lines on them. */

#include "efi/firmware.h"
#include "efi/model.h"
#include <stdbool.h>

#define CONSOLE_MAX       8
#define CONSOLE_COLUMNS   76
#define CONSOLE_ENTRY_LEN (2 + RP_GROUPS * (MODEL_DIGITS + 1))

struct console {
    EFI_HANDLE handle; /* NULL for the main console, which stays */
    SIMPLE_TEXT_OUTPUT_INTERFACE *out;
    bool started;
    bool revealed;                     /* digits may stand anywhere above the line of digits */
    char entry[CONSOLE_ENTRY_LEN + 1]; /* what stands in the line of digits */
};

/* Those in use; the first console_n. */
extern struct console console[CONSOLE_MAX];
extern unsigned console_n;

/* Find them. with_main: the main console, which stands for all of them, because there are no graphics */
void console_find(bool with_main);
/* A serial adapter may have been unplugged, and its interface freed: forget it before anything is printed. */
void console_drop_unplugged(void);
/* UTF-8 text, at most len bytes of it. */
void console_put_some(struct console *c, const char *text, size_t len);
void console_put(struct console *c, const char *text);
/* A paragraph behind a label; further lines stand below the first. */
void console_put_paragraph(struct console *c, const char *label, const char *text);
