/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/cursor.h"

static void copy(uint8_t *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = from[i];
}

void reader_init(struct reader *r, const void *base, size_t len)
{
    *r = (struct reader){.base = base, .len = len};
}

const uint8_t *reader_take(struct reader *r, size_t len)
{
    if (r->err == ERR_OK && len > r->len - r->off)
        r->err = ERR_TRUNCATED;
    if (r->err != ERR_OK)
        return NULL;
    const uint8_t *p = r->base + r->off;
    r->off += len;
    return p;
}

/* Read an n-byte unsigned integer whose byte i has weight 256^i (little) or 256^(n-1-i) (big). */
static uint64_t take_uint(struct reader *r, size_t n, int big)
{
    const uint8_t *p = reader_take(r, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++)
        v |= (uint64_t)p[i] << (8 * (big ? n - 1 - i : i));
    return v;
}

uint8_t reader_u8(struct reader *r)
{
    return (uint8_t)take_uint(r, 1, 0);
}
uint16_t reader_u16(struct reader *r)
{
    return (uint16_t)take_uint(r, 2, 0);
}
uint32_t reader_u32(struct reader *r)
{
    return (uint32_t)take_uint(r, 4, 0);
}
uint64_t reader_u64(struct reader *r)
{
    return take_uint(r, 8, 0);
}
uint16_t reader_u16be(struct reader *r)
{
    return (uint16_t)take_uint(r, 2, 1);
}
uint32_t reader_u32be(struct reader *r)
{
    return (uint32_t)take_uint(r, 4, 1);
}
uint64_t reader_u64be(struct reader *r)
{
    return take_uint(r, 8, 1);
}

void reader_bytes(struct reader *r, void *ret, size_t len)
{
    const uint8_t *p = reader_take(r, len);
    uint8_t *out = ret;
    for (size_t i = 0; i < len; i++)
        out[i] = p ? p[i] : 0;
}

void reader_skip(struct reader *r, size_t len)
{
    (void)reader_take(r, len);
}

void reader_seek(struct reader *r, size_t off)
{
    if (r->err == ERR_OK && off > r->len)
        r->err = ERR_TRUNCATED;
    if (r->err == ERR_OK)
        r->off = off;
}

size_t reader_left(const struct reader *r)
{
    return r->err == ERR_OK ? r->len - r->off : 0;
}

void reader_expect(struct reader *r, const void *want, size_t len)
{
    const uint8_t *p = reader_take(r, len), *w = want;
    for (size_t i = 0; p && i < len; i++)
        if (p[i] != w[i] && r->err == ERR_OK)
            r->err = ERR_FORMAT;
}

enum err reader_end(const struct reader *r)
{
    if (r->err != ERR_OK)
        return r->err;
    return r->off == r->len ? ERR_OK : ERR_FORMAT;
}

void writer_init(struct writer *w, void *base, size_t cap)
{
    *w = (struct writer){.base = base, .cap = cap};
}

void writer_bytes(struct writer *w, const void *p, size_t len)
{
    if (w->err == ERR_OK && len > w->cap - w->off)
        w->err = ERR_FULL;
    if (w->err != ERR_OK)
        return;
    copy(w->base + w->off, p, len);
    w->off += len;
}

static void put_uint(struct writer *w, uint64_t v, size_t n)
{
    uint8_t b[8];
    for (size_t i = 0; i < n; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    writer_bytes(w, b, n);
}

void writer_u8(struct writer *w, uint8_t v)
{
    put_uint(w, v, 1);
}
void writer_u16(struct writer *w, uint16_t v)
{
    put_uint(w, v, 2);
}
void writer_u32(struct writer *w, uint32_t v)
{
    put_uint(w, v, 4);
}
void writer_u64(struct writer *w, uint64_t v)
{
    put_uint(w, v, 8);
}

enum err writer_end(const struct writer *w, size_t *ret_len)
{
    if (w->err != ERR_OK)
        return w->err;
    *ret_len = w->off;
    return ERR_OK;
}
