#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file or block device that holds a volume, opened for reading and for nothing else. */

#include "formats/volume_io.h"
#include <stdatomic.h>
#include <stdbool.h>

struct volume_image {
    const char *path; /* borrowed */
    int fd;
    uint64_t len;             /* bytes */
    _Atomic uint64_t bad_off; /* where a read failed first; VOLUME_NO_OFF: none did */
    _Atomic int bad_errno;    /* why; 0: the end was reached */
};
#define VOLUME_NO_OFF UINT64_MAX

/* Open a regular file or a block device.
 * ret: close it with volume_image_close(); its address must stay
 * err: NOT_FOUND, DENIED, IO; UNSUPPORTED (neither file nor block device) */
MUST_CHECK enum err volume_image_open(const char *path, struct volume_image *ret);
/* Also one that did not open. */
void volume_image_close(struct volume_image *image);

/* How the readers of formats/ read it. Several threads may. */
struct volume_io volume_image_io(struct volume_image *image);

/* Forget where reading failed: what was only probed, or has another copy, is not what fails later. */
void volume_image_forget(struct volume_image *image);

/* Is this path the very file that is open here, by whatever name? */
bool volume_image_is(const struct volume_image *image, const char *path);
