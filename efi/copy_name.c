/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_name.h"

static size_t length_of(const uint16_t *name)
{
    size_t n = 0;
    while (n < TREE_NAME - 1 && name[n])
        n++;
    return n;
}

static bool is_forbidden(uint16_t c)
{
    static const char forbidden[] = "\"*/:<>?\\|";
    if (c < 0x20 || c == 0x7f)
        return true;
    for (const char *p = forbidden; *p; p++)
        if (c == (unsigned char)*p)
            return true;
    return false;
}

static uint16_t upper(uint16_t c)
{
    return c >= 'a' && c <= 'z' ? (uint16_t)(c - 'a' + 'A') : c;
}

/* Units of the name before its first dot. */
static size_t stem_of(const uint16_t *name)
{
    size_t n = 0;
    while (name[n] && name[n] != '.')
        n++;
    return n;
}

/* CON, NUL, COM1, … with any extension. */
static bool is_device(const uint16_t *name)
{
    static const char devices[][4] = {"CON", "PRN", "AUX", "NUL", "COM", "LPT"};
    size_t stem = stem_of(name);
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        bool numbered = i >= 4;
        if (stem != (numbered ? 4u : 3u))
            continue;
        bool same = true;
        for (size_t k = 0; k < 3; k++)
            same = same && upper(name[k]) == (unsigned char)devices[i][k];
        if (same && (!numbered || (name[3] >= '1' && name[3] <= '9')))
            return true;
    }
    return false;
}

/* A "_" at this place, the rest moves; the last unit of a name of full length goes. */
static void insert(uint16_t name[static TREE_NAME], size_t at)
{
    size_t len = length_of(name);
    for (size_t i = len < TREE_NAME - 2 ? len + 1 : TREE_NAME - 2; i > at; i--)
        name[i] = name[i - 1];
    name[at] = '_';
    name[TREE_NAME - 1] = 0;
}

bool copy_name_make_safe(const uint16_t *name, uint16_t ret[static TREE_NAME])
{
    size_t len = length_of(name);
    bool changed = name[len] != 0 || len == 0;
    for (size_t i = 0; i < len; i++) {
        bool bad = is_forbidden(name[i]);
        ret[i] = bad ? '_' : name[i];
        changed = changed || bad;
    }
    ret[len] = 0;
    for (size_t i = len; i > 0 && (ret[i - 1] == '.' || ret[i - 1] == ' '); i--) {
        ret[i - 1] = '_';
        changed = true;
    }
    if (len == 0) {
        ret[0] = '_';
        ret[1] = 0;
    }
    if (!is_device(ret))
        return changed;
    insert(ret, stem_of(ret));
    return true;
}

void copy_name_other(const uint16_t *name, unsigned n, uint16_t ret[static TREE_NAME])
{
    uint16_t tail[12];
    size_t len = length_of(name), dot = len, tail_len = 0, digits = 0;
    for (size_t i = len; i-- > 1;)
        if (name[i] == '.') {
            dot = i;
            break;
        }
    for (unsigned v = n; v > 0; v /= 10)
        digits++;
    tail[tail_len++] = '~';
    for (size_t i = digits; i > 0; i--, n /= 10)
        tail[i] = (uint16_t)('0' + n % 10);
    tail_len += digits;
    size_t extension = len - dot;
    if (extension > TREE_NAME / 2) /* a dot somewhere in a long name is no extension */
        extension = 0;
    size_t stem = len - extension, room = TREE_NAME - 1 - extension - tail_len;
    stem = stem < room ? stem : room;
    for (size_t i = 0; i < stem; i++)
        ret[i] = name[i];
    for (size_t i = 0; i < tail_len; i++)
        ret[stem + i] = tail[i];
    for (size_t i = 0; i < extension; i++)
        ret[stem + tail_len + i] = name[len - extension + i];
    ret[stem + tail_len + extension] = 0;
}

/* Units of the UTF-8 sequence that begins here, each of them one byte; 0 when it is none. Overlong forms and
 * halves of surrogate pairs are none. */
static size_t sequence_at(const uint16_t *p, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = p[0];
    size_t n = c < 0x80                ? 1
               : c >= 0xc2 && c < 0xe0 ? 2
               : c >= 0xe0 && c < 0xf0 ? 3
               : c >= 0xf0 && c < 0xf5 ? 4
                                       : 0;
    if (n > 1)
        c &= 0x7fu >> n;
    for (size_t i = 1; i < n; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *ret = c;
    return n;
}

/* Bytes of UTF-8 throughout, and more than ASCII? */
static bool is_utf8(const uint16_t *name)
{
    bool more = false;
    uint32_t c;
    for (size_t n; *name; name += n) {
        n = sequence_at(name, &c);
        if (n == 0)
            return false;
        more = more || n > 1;
    }
    return more;
}

void copy_name_mend(const uint16_t *name, uint16_t ret[static TREE_NAME])
{
    size_t len = 0;
    bool mend = is_utf8(name);
    while (*name && len < TREE_NAME - 2) {
        uint32_t c = *name;
        name += mend ? sequence_at(name, &c) : 1;
        if (c >= 0x10000) {
            ret[len++] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + (c & 0x3ff);
        }
        ret[len++] = (uint16_t)c;
    }
    if (*name && len < TREE_NAME - 1 && !mend)
        ret[len++] = *name;
    ret[len] = 0;
}

/* One character; *p moves on. */
static uint32_t next_character(const uint16_t **p)
{
    uint32_t c = *(*p)++;
    if (c < 0xd800 || c > 0xdfff)
        return c;
    uint32_t low = **p;
    if (c > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return '?';
    (*p)++;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* Bytes of a character; up to four. */
static size_t encode(uint32_t c, char ret[static 4])
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        ret[i] = (char)(0x80 | (c & 0x3f));
    ret[0] = (char)(lead[n] | c);
    return n;
}

size_t copy_name_utf8(const uint16_t *name, char *ret, size_t cap)
{
    size_t len = 0;
    char bytes[4];
    bool mend = is_utf8(name);
    while (*name) {
        uint32_t c;
        size_t units = mend ? sequence_at(name, &c) : 0;
        name += units;
        size_t n = encode(units ? c : next_character(&name), bytes);
        if (n >= cap - len)
            break;
        for (size_t i = 0; i < n; i++)
            ret[len++] = bytes[i];
    }
    ret[len] = '\0';
    return len;
}

void copy_name_wide(const char *ascii, uint16_t *ret, size_t cap)
{
    size_t i = 0;
    for (; ascii[i] && i + 1 < cap; i++)
        ret[i] = (unsigned char)ascii[i];
    ret[i] = 0;
}
