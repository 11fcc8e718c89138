/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/text.h"

size_t text_char_len(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned char lo = 0x80, hi = 0xbf;
    size_t n;
    if (p[0] < 0x80)
        return 1;
    else if (p[0] >= 0xc2 && p[0] <= 0xdf)
        n = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        n = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        lo = 0xa0; /* overlong */
    else if (p[0] == 0xed)
        hi = 0x9f; /* surrogates */
    else if (p[0] == 0xf0)
        lo = 0x90; /* overlong */
    else if (p[0] == 0xf4)
        hi = 0x8f; /* beyond U+10FFFF */
    if (left < n || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return n;
}

static bool is_control(const unsigned char *p, size_t n)
{
    return (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

bool text_is_utf8(const char *text, size_t len)
{
    size_t n;
    for (size_t i = 0; i < len; i += n)
        if ((n = text_char_len(text + i, len - i)) == 0)
            return false;
    return true;
}

bool text_is_printable(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n;
    for (size_t i = 0; i < len; i += n)
        if ((n = text_char_len(text + i, len - i)) == 0 || is_control(p + i, n))
            return false;
    return true;
}

void text_clean(const char *text, size_t len, char *ret, size_t cap)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t out = 0;
    for (size_t i = 0; i < len;) {
        size_t n = text_char_len(text + i, len - i);
        bool bad = n == 0 || is_control(p + i, n);
        size_t put = bad ? 1 : n;
        if (out + put >= cap)
            break;
        for (size_t k = 0; k < put; k++)
            ret[out + k] = bad ? '?' : text[i + k];
        out += put;
        i += n ? n : 1;
    }
    ret[out] = 0;
}
