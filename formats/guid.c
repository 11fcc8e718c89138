/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/guid.h"
#include <string.h>

/* Byte that each pair of digits of the text shows: the first three fields are stored little-endian. */
static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static bool dash_before(size_t pair)
{
    return pair == 4 || pair == 6 || pair == 8 || pair == 10;
}

static void encode(const struct guid *g, const char *digits, char *ret)
{
    for (size_t i = 0; i < 16; i++) {
        if (dash_before(i))
            *ret++ = '-';
        *ret++ = digits[g->bytes[order[i]] >> 4];
        *ret++ = digits[g->bytes[order[i]] & 15];
    }
    *ret = 0;
}

void guid_encode(const struct guid *g, char ret[static GUID_TEXT])
{
    encode(g, "0123456789ABCDEF", ret);
}
void guid_encode_lower(const struct guid *g, char ret[static GUID_TEXT])
{
    encode(g, "0123456789abcdef", ret);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum err guid_decode(const char *text, size_t len, struct guid *ret)
{
    struct guid g;
    if (len == GUID_TEXT + 1 && text[0] == '{' && text[len - 1] == '}') {
        text++;
        len -= 2;
    }
    if (len != GUID_TEXT - 1)
        return ERR_FORMAT;
    for (size_t i = 0; i < 16; i++) {
        if (dash_before(i) && *text++ != '-')
            return ERR_FORMAT;
        int high = digit(text[0]), low = digit(text[1]);
        if (high < 0 || low < 0)
            return ERR_FORMAT;
        g.bytes[order[i]] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    *ret = g;
    return ERR_OK;
}

void guid_from_random(const uint8_t random[static 16], struct guid *ret)
{
    memcpy(ret->bytes, random, 16);
    /* Version 4 in the high nibble of the third field, which is little-endian here: byte 7.
     * source: RFC 9562 section 5.4 */
    ret->bytes[7] = (uint8_t)((ret->bytes[7] & 0x0f) | 0x40);
    ret->bytes[8] = (uint8_t)((ret->bytes[8] & 0x3f) | 0x80);
}

bool guid_equal(const struct guid *a, const struct guid *b)
{
    return memcmp(a->bytes, b->bytes, 16) == 0;
}

void guid_short(const struct guid *g, char ret[static 9])
{
    char text[GUID_TEXT];
    guid_encode(g, text);
    memcpy(ret, text, 8);
    ret[8] = 0;
}
