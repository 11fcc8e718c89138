/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bitlocker/bitlocker_image.h"
#include <stdlib.h>
#include <string.h>

static uint8_t memory[BITLOCKER_MEMORY];

void bi_make(struct bi *i, const struct bw_options *o)
{
    bi_free(i);
    i->p = bw_make(o);
    i->size = o->size;
}

void bi_free(struct bi *i)
{
    free(i->p);
    memset(i, 0, sizeof *i);
}

static enum err read_image(void *ctx, uint64_t off, void *buf, size_t len)
{
    const struct bi *i = ctx;
    if (off > i->size || len > i->size - off)
        return ERR_TRUNCATED;
    if (off < i->bad_end && off + len > i->bad_off)
        return ERR_IO;
    memcpy(buf, i->p + off, len);
    return ERR_OK;
}

enum err bi_load(struct bi *i)
{
    const struct volume_io io = {.read = read_image, .ctx = i};
    i->problem = (struct bitlocker_problem){0};
    return bitlocker_load(&io, i->size, memory, sizeof memory, &i->b, &i->problem);
}

void bi_poke(struct bi *i, uint64_t off, uint64_t v, size_t n)
{
    for (size_t k = 0; k < n; k++)
        i->p[off + k] = (uint8_t)(v >> 8 * k);
}

static unsigned u16(const uint8_t *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

uint64_t bi_entry(const struct bi *i, unsigned type, unsigned value, unsigned nth)
{
    for (uint64_t off = bw_block_off(0) + 112; u16(i->p + off) != 0; off += u16(i->p + off))
        if (u16(i->p + off + 2) == type && u16(i->p + off + 4) == value && nth-- == 0)
            return off;
    abort();
}
