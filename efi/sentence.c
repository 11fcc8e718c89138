/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/sentence.h"

void sentence_init(struct sentence *s, char *base, size_t cap)
{
    *s = (struct sentence){.base = base, .cap = cap};
    base[0] = '\0';
}

void sentence_add(struct sentence *s, const char *text)
{
    while (*text && s->len + 1 < s->cap)
        s->base[s->len++] = *text++;
    s->base[s->len] = '\0';
}

void sentence_add_u64(struct sentence *s, uint64_t v)
{
    char digits[21];
    size_t i = sizeof digits;
    digits[--i] = '\0';
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    sentence_add(s, digits + i);
}

void sentence_add_size(struct sentence *s, uint64_t bytes)
{
    static const char *const unit[] = {" KB", " MB", " GB", " TB", " PB", " EB"};
    uint64_t tenths = bytes / 100; /* of a KB */
    if (bytes < 1000) {
        sentence_add_u64(s, bytes);
        sentence_add(s, bytes == 1 ? " byte" : " bytes");
        return;
    }
    size_t u = 0;
    while (tenths >= 10000 && u < 5) {
        tenths /= 1000;
        u++;
    }
    sentence_add_u64(s, tenths / 10);
    if (tenths < 100) {
        sentence_add(s, ".");
        sentence_add_u64(s, tenths % 10);
    }
    sentence_add(s, unit[u]);
}

void sentence_add_count(struct sentence *s, uint64_t v)
{
    uint64_t part = v % 1000;
    if (v < 1000) {
        sentence_add_u64(s, v);
        return;
    }
    sentence_add_count(s, v / 1000);
    sentence_add(s, part < 10 ? ",00" : part < 100 ? ",0" : ",");
    sentence_add_u64(s, part);
}

void sentence_add_things(struct sentence *s, uint64_t n, const char *one, const char *many)
{
    sentence_add_count(s, n);
    sentence_add(s, " ");
    sentence_add(s, n == 1 ? one : many);
}
