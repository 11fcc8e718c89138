/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/recovery_password.h"
#include "crypto/reveal.h"
#include <string.h>

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

/* Between groups stand spaces, tabs, dashes, and what word processors and web pages make of them, in UTF-8.
 * source: Unicode, general category Pd, and the no-break spaces */
#define SEPARATOR_MAX 3 /* bytes */
static const struct separator {
    uint8_t len;
    char bytes[SEPARATOR_MAX];
} separators[] = {
    {1, {' '}},
    {1, {'\t'}},
    {1, {'-'}},
    {2, {'\xc2', '\xa0'}},         /* no-break space */
    {3, {'\xe2', '\x80', '\x90'}}, /* hyphen */
    {3, {'\xe2', '\x80', '\x91'}}, /* non-breaking hyphen */
    {3, {'\xe2', '\x80', '\x92'}}, /* figure dash */
    {3, {'\xe2', '\x80', '\x93'}}, /* en dash */
    {3, {'\xe2', '\x80', '\x94'}}, /* em dash */
    {3, {'\xe2', '\x80', '\x95'}}, /* horizontal bar */
    {3, {'\xe2', '\x80', '\xaf'}}, /* narrow no-break space */
    {3, {'\xe2', '\x88', '\x92'}}, /* minus sign */
};

/* Bytes of the separator that text, left bytes, begins with; 0: none. */
static size_t separator_at(const char *text, size_t left)
{
    char seen[SEPARATOR_MAX] = {0}; /* no byte of a separator is 0 */
    for (size_t i = 0; i < sizeof seen && i < left && !is_digit(text[i]); i++) {
        seen[i] = text[i];
        cr_reveal(&seen[i], 1);
    }
    for (size_t i = 0; i < sizeof separators / sizeof *separators; i++)
        if (memcmp(seen, separators[i].bytes, separators[i].len) == 0)
            return separators[i].len;
    return 0;
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
    for (size_t n; (n = separator_at(text + off, len - off)) > 0;)
        off += n;
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

static bool is_blank(char c)
{
    if (is_digit(c))
        return false;
    cr_reveal(&c, sizeof c);
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Does text begin with the n bytes of a mark? */
static bool begins_with(const char *text, size_t len, const char *mark, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i >= len || is_digit(text[i]))
            return false;
        cr_reveal(&text[i], 1);
        if (text[i] != mark[i])
            return false;
    }
    return true;
}

/* UTF-16 becomes UTF-8, at most 3 bytes for 2. Surrogates become what nobody takes for a separator. */
static size_t narrow(const char *wide, size_t len, char *ret)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < len; i += 2) {
        cr_reveal(&wide[i + 1], 1);
        if (wide[i + 1] == 0 && is_digit(wide[i])) {
            ret[n++] = wide[i];
            continue;
        }
        cr_reveal(&wide[i], 1);
        unsigned c = (uint8_t)wide[i] | (unsigned)(uint8_t)wide[i + 1] << 8;
        if (c >= 0x800)
            ret[n++] = (char)(0xe0 | c >> 12);
        if (c >= 0x80)
            ret[n++] = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6);
        ret[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    return n;
}

static enum err decode_lines(const char *text, size_t len, struct secret *ret, unsigned *ret_group)
{
    size_t begin = 0;
    while (begin < len && is_blank(text[begin]))
        begin++;
    while (len > begin && is_blank(text[len - 1]))
        len--;
    return rp_decode(text + begin, len - begin, ret, ret_group);
}

enum err rp_decode_file(const char *text, size_t len, struct secret *ret, unsigned *ret_group)
{
    char utf8[SECRET_MAX / 2 * 3];
    if (begins_with(text, len, "\xef\xbb\xbf", 3)) /* the mark of UTF-8 (Notepad) */
        return decode_lines(text + 3, len - 3, ret, ret_group);
    if (len > SECRET_MAX || !begins_with(text, len, "\xff\xfe", 2)) /* of UTF-16 (PowerShell) */
        return decode_lines(text, len, ret, ret_group);
    size_t n = narrow(text + 2, len - 2, utf8);
    enum err e = decode_lines(utf8, n, ret, ret_group);
    cr_wipe(utf8, sizeof utf8);
    return e;
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
