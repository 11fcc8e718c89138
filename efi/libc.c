/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/libc.h"
#include "efi/firmware.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Compiled with -fno-builtin and these attributes, or the compiler would turn each loop into a call of
 * itself. */
#define PLAIN __attribute__((optimize("no-tree-loop-distribute-patterns")))

/* Eight bytes at any address. */
struct word {
    uint64_t v;
} __attribute__((packed, may_alias));

PLAIN void *memcpy(void *restrict d, const void *restrict s, size_t n)
{
    unsigned char *to = d;
    const unsigned char *from = s;
    for (; n >= 8; n -= 8, to += 8, from += 8)
        ((struct word *)to)->v = ((const struct word *)from)->v;
    while (n--)
        *to++ = *from++;
    return d;
}

PLAIN void *memset(void *d, int c, size_t n)
{
    unsigned char *to = d;
    const uint64_t v = 0x0101010101010101u * (unsigned char)c;
    for (; n >= 8; n -= 8, to += 8)
        ((struct word *)to)->v = v;
    while (n--)
        *to++ = (unsigned char)c;
    return d;
}

PLAIN void *memmove(void *d, const void *s, size_t n)
{
    unsigned char *to = d;
    const unsigned char *from = s;
    if (to <= from || to >= from + n)
        return memcpy(d, s, n);
    while (n--)
        to[n] = from[n];
    return d;
}

PLAIN int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

PLAIN void *memchr(const void *p, int c, size_t n)
{
    const unsigned char *b = p;
    for (; n; n--, b++)
        if (*b == (unsigned char)c)
            return (void *)(uintptr_t)b; /* the standard's own cast from const */
    return NULL;
}

PLAIN size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

PLAIN int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

PLAIN int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (unsigned char)*a - (unsigned char)*b;
    return 0;
}

PLAIN char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)(uintptr_t)s; /* the standard's own cast from const */
        if (!*s)
            return NULL;
    }
}

int abs(int v)
{
    return v < 0 ? -v : v;
}

long labs(long v)
{
    return v < 0 ? -v : v;
}

void *calloc(size_t n, size_t size)
{
    size_t len;
    return __builtin_mul_overflow(n, size, &len) ? NULL : firmware_alloc(len);
}

void *malloc(size_t len)
{
    void *p = NULL;
    return fw.bs->AllocatePool(EfiLoaderData, len ? len : 1, &p) == EFI_SUCCESS ? p : NULL;
}

void free(void *p)
{
    firmware_free(p);
}
