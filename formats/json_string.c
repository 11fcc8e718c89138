/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/json_string.h"
#include "formats/text.h"
#include <stdint.h>
#include <string.h>

/* One \uXXXX; the grammar check saw to it that four hex digits follow. */
static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (uint8_t)p[i];
        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* The character of an escape at *p (behind the backslash); 0 for what may not stand in text. */
static uint32_t escape(const char **p, const char *end)
{
    char c = *(*p)++;
    if (c != 'u')
        return c == 'b'   ? '\b'
               : c == 'f' ? '\f'
               : c == 'n' ? '\n'
               : c == 'r' ? '\r'
               : c == 't' ? '\t'
                          : (uint32_t)c;
    uint32_t v = hex4(*p);
    *p += 4;
    if (v < 0xd800 || v > 0xdfff)
        return v;
    if (v > 0xdbff || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return 0;
    uint32_t low = hex4(*p + 2);
    *p += 6;
    return low < 0xdc00 || low > 0xdfff ? 0 : 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
}

static size_t utf8(uint32_t c, char ret[static 4])
{
    if (c < 0x80) {
        ret[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3f));
    ret[0] = (char)((0xf00 >> n & 0xf0) | c);
    return n;
}

size_t json_string_next(const char **p, const char *end, char ret[static 4])
{
    if (**p == '\\') {
        ++*p;
        uint32_t v = escape(p, end);
        return v == 0 ? 0 : utf8(v, ret);
    }
    size_t n = text_char_len(*p, (size_t)(end - *p));
    memcpy(ret, *p, n);
    *p += n;
    return n;
}
