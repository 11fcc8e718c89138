#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bounds-checked cursor: the only way Keyholt touches bytes of a wire or disk format.
 *
 * A reader or writer remembers its first failure and does nothing afterwards; callers decode a whole
 * structure and ask once at the end. Values read after a failure are zero. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

struct reader {
    const uint8_t *base; /* borrowed */
    size_t len, off;
    enum err err; /* first failure; ERR_OK so far */
};

struct writer {
    uint8_t *base; /* borrowed */
    size_t cap, off;
    enum err err;
};

void reader_init(struct reader *r, const void *base, size_t len);
uint8_t reader_u8(struct reader *r);
/* Little-endian unless the name says be. */
uint16_t reader_u16(struct reader *r);
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
uint16_t reader_u16be(struct reader *r);
uint32_t reader_u32be(struct reader *r);
uint64_t reader_u64be(struct reader *r);
/* Copy len bytes to ret, zeros on failure. */
void reader_bytes(struct reader *r, void *ret, size_t len);
/* Borrow len bytes in place; NULL on failure (the only pointer a reader hands out). */
const uint8_t *reader_take(struct reader *r, size_t len);
void reader_skip(struct reader *r, size_t len);
/* Move to an absolute offset within the input. */
void reader_seek(struct reader *r, size_t off);
size_t reader_left(const struct reader *r);
/* Fail with FORMAT unless the next len bytes equal want. */
void reader_expect(struct reader *r, const void *want, size_t len);
/* ERR_OK only when nothing failed and every byte was read; FORMAT when bytes are left over. */
MUST_CHECK enum err reader_end(const struct reader *r);

void writer_init(struct writer *w, void *base, size_t cap);
void writer_u8(struct writer *w, uint8_t v);
void writer_u16(struct writer *w, uint16_t v);
void writer_u32(struct writer *w, uint32_t v);
void writer_u64(struct writer *w, uint64_t v);
void writer_bytes(struct writer *w, const void *p, size_t len);
/* ERR_OK and the number of bytes written, or FULL. */
MUST_CHECK enum err writer_end(const struct writer *w, size_t *ret_len);
