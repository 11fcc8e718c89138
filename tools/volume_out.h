#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decrypted volume on its way to a file: nameless until it is whole and on disk, sparse where it is zero.
 * Where the file system knows no nameless files, it lies beside under a name of its own until then. */

#include "crypto/err.h"
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOLUME_OUT_BLOCK 4096 /* zeros become holes in units of this */

struct volume_out {
    const char *path; /* borrowed: the final name */
    bool replace;
    int fd;
    char temp[PATH_MAX];      /* the name it has meanwhile, "" none */
    _Atomic uint64_t written; /* bytes that are no hole */
};

/* Create it, size bytes of zeros, readable by its owner only.
 * path:    borrowed until it is finished or discarded
 * replace: a regular file of that name is replaced at the end
 * err: CONFLICT (there is a file of that name), UNSUPPORTED (of that name there is something else, a device
 *      perhaps, or a link that leads nowhere), NOT_FOUND (no such folder), DENIED, FULL, RANGE (name or size
 * too long for here), IO */
MUST_CHECK enum err volume_out_create(const char *path, bool replace, uint64_t size, struct volume_out *ret);
/* Write at an offset; zeros are left out. Several threads may. err: FULL, RANGE, IO */
MUST_CHECK enum err volume_out_write(struct volume_out *out, uint64_t off, const void *buf, size_t len);
/* Onto the disk, then give it its name. After a failure nothing of it is left (but when the folder cannot be
 * synced: then the whole file may keep its name). err: CONFLICT, FULL, IO */
MUST_CHECK enum err volume_out_finish(struct volume_out *out);
/* Drop it: nothing of it is left. Also after volume_out_finish(). */
void volume_out_discard(struct volume_out *out);
