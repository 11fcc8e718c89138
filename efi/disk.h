#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One block device as bytes at any offset: Block IO behind a volume_io, with read-ahead. */

#include "efi/firmware.h"
#include "formats/volume_io.h"
#include <stdbool.h>

#define DISK_WINDOW (64u << 10) /* bytes read ahead */

struct disk {
    EFI_HANDLE handle;
    const void *bio; /* its interface when it was opened: only to be compared, it may be gone */
    uint32_t media_id, block_size;
    uint64_t size;  /* bytes */
    uint32_t align; /* bytes, of buffers, as the device wants them */
    bool removable;
    void *pages;         /* what was allocated, NULL while it rests */
    uint8_t *window;     /* DISK_WINDOW bytes, aligned */
    uint64_t window_off; /* of its first byte */
    size_t window_len;   /* valid bytes, 0 nothing yet */
    struct volume_io io; /* reads this disk; valid as long as the struct does not move */
};

/* Take a medium that is present and has a sane block size. Reading fails with IO once the device was
 * unplugged or its medium changed.
 * err: NOT_FOUND (no medium), UNSUPPORTED (block size), NOMEM */
MUST_CHECK enum err disk_open(struct disk *d, EFI_HANDLE handle);
/* Give the window back until something is read again: there may be many disks and little memory. What was
 * read is wiped where it was decrypted, never here: this is what lies on the disk. */
void disk_rest(struct disk *d);
/* Is it still the same medium in the same device? */
bool disk_is_there(const struct disk *d);
void disk_close(struct disk *d);
