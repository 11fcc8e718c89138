/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/sha256_sum.h"
#include <string.h>

#define LENGTH_AT (CR_SHA256_BLOCK - 8)

void cr_sha256_sum_init(struct cr_sha256_sum *s)
{
    memset(s, 0, sizeof *s);
    cr_sha256_init(s->state);
}

void cr_sha256_sum_add(struct cr_sha256_sum *s, const void *p, size_t len)
{
    const uint8_t *from = p;
    size_t held = (size_t)(s->len % CR_SHA256_BLOCK);
    s->len += len;
    if (held > 0) {
        size_t n = CR_SHA256_BLOCK - held < len ? CR_SHA256_BLOCK - held : len;
        memcpy(s->part + held, from, n);
        from += n;
        len -= n;
        if (held + n < CR_SHA256_BLOCK)
            return;
        cr_sha256_compress(s->state, s->part, 1);
    }
    size_t blocks = len / CR_SHA256_BLOCK, rest = len % CR_SHA256_BLOCK;
    if (blocks > 0)
        cr_sha256_compress(s->state, from, blocks);
    if (rest > 0)
        memcpy(s->part, from + len - rest, rest);
}

void cr_sha256_sum_end(struct cr_sha256_sum *s, uint8_t ret[static 32])
{
    size_t held = (size_t)(s->len % CR_SHA256_BLOCK);
    uint64_t bits = s->len * 8;
    s->part[held++] = 0x80;
    if (held > LENGTH_AT) {
        memset(s->part + held, 0, CR_SHA256_BLOCK - held);
        cr_sha256_compress(s->state, s->part, 1);
        held = 0;
    }
    memset(s->part + held, 0, LENGTH_AT - held);
    for (unsigned i = 0; i < 8; i++)
        s->part[LENGTH_AT + i] = (uint8_t)(bits >> (56 - 8 * i));
    cr_sha256_compress(s->state, s->part, 1);
    cr_sha256_store(s->state, ret);
}
