#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A device or an image file, read by the readers of formats/. */

#include "crypto/err.h"
#include "formats/volume_io.h"

/* Open for reading, without waiting for a medium. err: NOT_FOUND, DENIED, IO, UNSUPPORTED (neither a block
 * device nor a file) */
MUST_CHECK enum err device_open(const char *path, int *ret_fd);
/* Its bytes. err: IO */
MUST_CHECK enum err device_size(int fd, uint64_t *ret);
/* All of len bytes from off on. err: IO, TRUNCATED (it ends before) */
MUST_CHECK enum err device_read(int fd, uint64_t off, void *buf, size_t len);
/* fd: borrowed, must outlive what is returned */
struct volume_io device_io(const int *fd);
