#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Read, decrypt and write a whole volume in large batches, a thread per core. A batch goes to its own place
 * in the file, so the order in which the threads finish does not show. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory is VOLUME_LANES × VOLUME_BATCH, however large the volume and however many the cores. */
#define VOLUME_BATCH (1u << 20)
#define VOLUME_LANES 8

struct volume_copy {
    uint64_t size;  /* bytes; a read is VOLUME_BATCH bytes, the last one what is left */
    unsigned lanes; /* threads, 1 to VOLUME_LANES; volume_lanes() */
    /* Both are called by several threads, read never by two of one lane. */
    enum err (*read)(void *ctx, unsigned lane, uint64_t off, void *buf, size_t len);
    enum err (*write)(void *ctx, uint64_t off, const void *buf, size_t len);
    /* About ten times a second, by the thread that called volume_copy(). False: stop. */
    bool (*progress)(void *ctx, uint64_t done);
    void *ctx;
};

struct volume_copy_failure {
    uint64_t off; /* of the batch, in the decrypted volume */
    bool writing;
};

/* A thread for each core that this process may use, at most VOLUME_LANES. */
unsigned volume_lanes(void);

/* Copy all of it. When batches fail, the one nearest to the start is told.
 * ret_failure: set when read or write failed, and only then
 * err: BUSY (progress said stop), NOMEM, what read or write returned */
MUST_CHECK enum err volume_copy(const struct volume_copy *copy, struct volume_copy_failure *ret_failure);
