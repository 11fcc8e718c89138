#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside agent/disk_*.c only: a volume over libcryptsetup. */

#include "agent/volume/disk.h"
#include <limits.h>

struct crypt_device;

struct disk {
    char path[PATH_MAX];
    int fd;                  /* read-only, for our own reader */
    struct crypt_device *cd; /* NULL until load() */
};

/* libcryptsetup waits for the header's lock without end; a program that hangs with it must not hang the
 * keeper. See struct disk_ops. */
MUST_CHECK enum err disk_wait_lock(struct disk *d, char *ret_who, size_t cap);
void disk_find_writer(struct disk *d, char *ret_who, size_t cap);
