#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every hosted process that meets secrets does first, and files that hold secrets. Hosted only; the
 * host/ folders are the one place under crypto/ and formats/ that may do I/O. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <stdbool.h>
#include <sys/types.h>

/* No core dumps, not traceable by others of the same user, no new privileges; lock present and future
 * memory when lock is set (only what exists now where a limit counts, nothing where even that is forbidden:
 * such a machine must still encrypt and recover). Clears the environment variables that change a library's
 * behaviour (OPENSSL_CONF, EFIVARFS_PATH and the like); proxies stay. */
MUST_CHECK enum err process_harden(bool lock);

/* Drop to numeric uid and gid for good, with no supplementary groups and no capabilities; then try to get
 * back and fail with INTERNAL if that works. uid 0 is refused with RANGE. */
MUST_CHECK enum err process_drop(uid_t uid, gid_t gid);

/* Read a secret from PATH, or standard input when it is "-"; one trailing newline is dropped.
 * err: NOT_FOUND, IO, RANGE (longer than SECRET_MAX), FORMAT (empty) */
MUST_CHECK enum err secret_from_file(const char *path, struct secret *ret);
/* Why that failed, as half a sentence. Never NULL. */
const char *secret_file_text(enum err e);
