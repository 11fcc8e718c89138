/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/characters.h"

/* Bytes of the sequence that c starts, 0 when it starts none in the basic plane. */
static unsigned sequence_len(unsigned char c)
{
    if (c < 0x80)
        return 1;
    if (c >= 0xc2 && c < 0xe0)
        return 2;
    return c >= 0xe0 && c < 0xf0 ? 3 : 0;
}

static void skip_malformed(const char **p)
{
    do
        (*p)++;
    while (((unsigned char)**p & 0xc0) == 0x80);
}

uint16_t characters_next(const char **p)
{
    const char *s = *p;
    if (!*s)
        return 0;
    unsigned char c = (unsigned char)*s;
    unsigned n = sequence_len(c);
    unsigned v = n == 3 ? c & 0x0fu : n == 2 ? c & 0x1fu : c;
    for (unsigned i = 1; i < n; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            n = 0;
        else
            v = v << 6 | ((unsigned char)s[i] & 0x3fu);
    }
    if (n == 0 || (n == 3 && v < 0x800) || (v >= 0xd800 && v < 0xe000)) {
        skip_malformed(p);
        return '?';
    }
    *p += n;
    return (uint16_t)v;
}

uint16_t characters_plain(uint16_t c)
{
    switch (c) {
    case 0x2010 ... 0x2015:
        return '-';
    case 0x2018:
    case 0x2019:
        return '\'';
    case 0x201c ... 0x201e:
        return '"';
    case 0x2022:
        return 0xb7;
    case 0x00a0:
    case 0x202f:
        return ' ';
    default:
        return c < 0x20 || (c >= 0x7f && c < 0xa0) ? ' ' : c; /* control characters */
    }
}
