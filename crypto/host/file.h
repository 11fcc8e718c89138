#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole small files, read with a bound and written so that a power cut leaves the old or the new one. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Read a whole regular file of at most max bytes. ret is malloc'ed, one zero byte is added behind len.
 * err: NOT_FOUND, DENIED, IO, RANGE (too large), NOMEM */
MUST_CHECK enum err file_read(const char *path, size_t max, uint8_t **ret, size_t *ret_len);

/* What file_write() has not finished is called path, this, and six letters or digits; a power cut leaves it.
 */
#define FILE_PART ".part-"

/* Write beside, fsync, rename over path, fsync the folder.
 * err: FULL (no space), DENIED, IO; path is as it was on any failure */
MUST_CHECK enum err file_write(const char *path, const void *p, size_t len, mode_t mode);

/* The same for a file that is there: the new one has its owner and mode before it takes its place.
 * err: NOT_FOUND, as above */
MUST_CHECK enum err file_replace(const char *path, const void *p, size_t len);

/* Hold the folder of a path against everybody else who does, until the descriptor is closed; waits.
 * err: NOT_FOUND, DENIED, IO */
MUST_CHECK enum err file_hold_folder(const char *path, int *ret_fd);

/* Create the folders of path that are missing (0755; the last one with mode). err: DENIED, IO */
MUST_CHECK enum err file_mkdirs(const char *path, mode_t mode);

/* root + path into ret ("--root DIR" of every program). err: RANGE */
MUST_CHECK enum err file_join(const char *root, const char *path, char *ret, size_t cap);

/* The one place where errno becomes ours. */
enum err err_from_errno(int e);
