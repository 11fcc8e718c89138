#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The files that were written and not read back yet: where they lie, how long they are, their sums. Pure. */

#include "efi/tree.h"

#define COPY_BATCH_FILES 256
#define COPY_BATCH_UNITS (32u << 10)  /* of all their paths; one takes WALK_PATH at most */
#define COPY_BATCH_BYTES (256u << 20) /* after so much has been written it is read back */

struct copy_written {
    uint32_t path; /* where in paths it begins */
    uint64_t size;
    uint8_t sum[32]; /* SHA-256 of what was read from the source */
};

struct copy_batch {
    unsigned n;
    size_t units;
    uint64_t bytes;
    struct copy_written file[COPY_BATCH_FILES];
    uint16_t paths[COPY_BATCH_UNITS];
};

/* Is it time to read back, before another file with a path of so many units is written? */
bool copy_batch_is_full(const struct copy_batch *b, size_t units);
/* path: zero-terminated. There must be room. */
void copy_batch_add(struct copy_batch *b, const uint16_t *path, uint64_t size, const uint8_t sum[static 32]);
void copy_batch_clear(struct copy_batch *b);
/* Read one file back. buffer: len bytes; go_on: asked after each block with its length, its answer does not
 * matter
 * err: AUTH (it is not what was written), IO, NOT_FOUND */
MUST_CHECK enum err copy_batch_compare(const struct copy_batch *b, unsigned i, const struct tree *t,
                                       uint8_t *buffer, size_t len, void (*step)(void *ctx, size_t n),
                                       void *ctx);
