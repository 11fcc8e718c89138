/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/keymap.h"

#define SCAN_F1  0x0b
#define SCAN_F10 0x14

static enum key from_scan(uint16_t scan)
{
    if (scan >= SCAN_F1 && scan < SCAN_F10)
        return (enum key)(KEY_0 + 1 + (scan - SCAN_F1));
    switch (scan) {
    case SCAN_F10:
        return KEY_0;
    case 0x01:
        return KEY_UP;
    case 0x02:
        return KEY_DOWN;
    case 0x03:
        return KEY_RIGHT;
    case 0x04:
        return KEY_LEFT;
    case 0x05:
        return KEY_HOME;
    case 0x06:
        return KEY_END;
    case 0x08:
        return KEY_DELETE;
    case 0x09:
        return KEY_PAGE_UP;
    case 0x0a:
        return KEY_PAGE_DOWN;
    case 0x15:
        return KEY_BOOT;
    case 0x16:
        return KEY_OFF;
    case 0x17:
        return KEY_ESC;
    default:
        return KEY_OTHER;
    }
}

static enum key from_letter(uint16_t c)
{
    switch (c | 0x20) {
    case 'b':
        return KEY_BOOT;
    case 'p':
        return KEY_OFF;
    case 'r':
        return KEY_RESCAN;
    case 'n':
        return KEY_NO;
    case 's':
        return KEY_SHOW;
    case 'l':
        return KEY_LIST;
    case 'c':
        return KEY_CONTRAST;
    case 'f':
        return KEY_SETUP;
    case 'u':
        return KEY_COPY;
    case 'x':
        return KEY_RESTART;
    case 't':
        return KEY_TONES;
    default:
        return KEY_OTHER;
    }
}

static enum key from_character(uint16_t c)
{
    static const char shifted[] = ")!@#$%^&*("; /* 0 to 9 on a US keyboard */
    if (c >= '0' && c <= '9')
        return (enum key)(KEY_0 + (c - '0'));
    for (int i = 0; i < 10; i++)
        if (c == (unsigned char)shifted[i])
            return (enum key)(KEY_0 + i);
    switch (c) {
    case 0x08:
    case 0x7f:
        return KEY_BACKSPACE;
    case '\t':
        return KEY_TAB;
    case '\r':
    case '\n':
        return KEY_ENTER;
    case 0x1b:
        return KEY_ESC;
    case '-':
    case ' ':
    case '_':
        return KEY_SEPARATOR;
    default:
        return c < 0x80 ? from_letter(c) : KEY_OTHER;
    }
}

enum key keymap_translate(uint16_t scan, uint16_t character)
{
    if (character)
        return from_character(character);
    return scan ? from_scan(scan) : KEY_NONE;
}
