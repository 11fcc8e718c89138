/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UTF-16 from the disk to something that can be shown, and times. */
#include "formats/bitlocker_format.h"
#include "formats/text.h"

static size_t encode(uint32_t c, char ret[static 4])
{
    if (c < 0x80) {
        ret[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3f));
    ret[0] = (char)((0xf00u >> n & 0xf0) | c);
    return n;
}

/* One character; half a surrogate pair is no character: '?'. */
static uint32_t take(struct reader *r)
{
    uint32_t c = reader_u16(r);
    if (c < 0xd800 || c > 0xdfff)
        return c;
    struct reader ahead = *r;
    uint32_t low = reader_u16(&ahead);
    if (c > 0xdbff || ahead.err != ERR_OK || low < 0xdc00 || low > 0xdfff)
        return '?';
    *r = ahead;
    return 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
}

void bitlocker_text(const uint8_t *p, size_t len, char *ret, size_t cap)
{
    struct reader r;
    char text[4 * BITLOCKER_TEXT];
    size_t n = 0;
    reader_init(&r, p, len);
    while (reader_left(&r) >= 2 && n + 4 <= sizeof text) {
        uint32_t c = take(&r);
        if (c == 0)
            break;
        n += encode(c, text + n);
    }
    text_clean(text, n, ret, cap);
}

/* FILETIME counts 100 ns from 1601; 11644473600 s lie between. */
uint64_t bitlocker_time(uint64_t filetime)
{
    const uint64_t second = 10000000, epoch = UINT64_C(11644473600);
    return filetime / second < epoch ? 0 : filetime / second - epoch;
}

/* One character of text known to be UTF-8. */
static uint32_t take_utf8(struct reader *r)
{
    uint32_t c = reader_u8(r);
    unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if (more > 0)
        c &= 0x3fu >> more;
    while (more-- > 0)
        c = c << 6 | (reader_u8(r) & 0x3f);
    return c;
}

enum err bitlocker_utf16(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len)
{
    struct reader r;
    struct writer w;
    if (len > cap / 2 || !text_is_utf8(text, len))
        return ERR_RANGE;
    reader_init(&r, text, len);
    writer_init(&w, ret, cap);
    while (reader_left(&r) > 0) {
        uint32_t c = take_utf8(&r);
        if (c >= 0x10000) {
            writer_u16(&w, (uint16_t)(0xd800 + ((c - 0x10000) >> 10)));
            c = 0xdc00 + (c & 0x3ff);
        }
        writer_u16(&w, (uint16_t)c);
    }
    return writer_end(&w, ret_len);
}
