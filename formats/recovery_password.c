/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/recovery_password.h"
#include "crypto/reveal.h"

#define GROUP_DIGITS 6
#define GROUP_FACTOR 11 /* source: docs/formats.md#recovery-password */

/* The digits are the secret: no branch and no address depends on which they are. What is revealed is where
 * digits stand, every other character, and the verdict on each group, which the person is told. */

static bool is_digit(char c)
{
    const uint32_t v = (uint8_t)c ^ 0x30u; /* 0 to 9 for the digits and nothing else */
    const uint8_t digit = (uint8_t)((v - 10) >> 31);
    cr_reveal(&digit, sizeof digit);
    return digit;
}

static bool is_separator(char c)
{
    if (is_digit(c))
        return false;
    cr_reveal(&c, sizeof c);
    return c == ' ' || c == '\t' || c == '-';
}

/* 0 for 0, else 1; a comparison may become a branch. */
static uint32_t not_zero(uint32_t v)
{
    return (v | (0 - v)) >> 31;
}

enum err rp_group_decode(const char digits[static 6], uint16_t *ret_word)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < GROUP_DIGITS; i++) {
        if (!is_digit(digits[i]))
            return ERR_FORMAT;
        v = v * 10 + (digits[i] & 0x0f);
    }
    /* Dividing by a constant is a multiplication: in constant time, as the division instruction is not. */
    const uint32_t bad = not_zero(v % GROUP_FACTOR) | not_zero(v / GROUP_FACTOR >> 16);
    cr_reveal(&bad, sizeof bad);
    if (bad)
        return ERR_RANGE;
    *ret_word = (uint16_t)(v / GROUP_FACTOR);
    return ERR_OK;
}

static size_t count_digits(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += is_digit(text[i]);
    return n;
}

static size_t skip_separators(const char *text, size_t len, size_t off)
{
    while (off < len && is_separator(text[off]))
        off++;
    return off;
}

enum err rp_decode(const char *text, size_t len, struct secret *ret, unsigned *ret_group)
{
    SECRET(s);
    size_t off = 0;
    if (count_digits(text, len) != RP_DIGITS) {
        *ret_group = 0;
        return ERR_FORMAT;
    }
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        uint16_t word = 0;
        off = skip_separators(text, len, off);
        enum err err = len - off < GROUP_DIGITS ? ERR_FORMAT : rp_group_decode(text + off, &word);
        if (err != ERR_OK) {
            *ret_group = g + 1;
            return err;
        }
        s.bytes[2 * g] = (uint8_t)word;
        s.bytes[2 * g + 1] = (uint8_t)(word >> 8);
        cr_wipe(&word, sizeof word);
        off += GROUP_DIGITS;
    }
    if (skip_separators(text, len, off) != len) {
        *ret_group = RP_GROUPS;
        return ERR_FORMAT;
    }
    s.len = RP_BYTES;
    *ret = s;
    return ERR_OK;
}

void rp_encode(const uint8_t bytes[static RP_BYTES], struct secret *ret)
{
    secret_wipe(ret);
    for (unsigned g = 0; g < RP_GROUPS; g++) {
        uint32_t v = GROUP_FACTOR * (bytes[2 * g] | (uint32_t)bytes[2 * g + 1] << 8);
        uint8_t *out = ret->bytes + (GROUP_DIGITS + 1) * g;
        for (unsigned i = GROUP_DIGITS; i-- > 0; v /= 10)
            out[i] = (uint8_t)('0' + v % 10);
        if (g + 1 < RP_GROUPS)
            out[GROUP_DIGITS] = '-';
    }
    ret->len = RP_TEXT;
}
