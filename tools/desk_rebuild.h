#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A LUKS2 header made anew from a key package, in a file that is a copy of the damaged volume. */

#include "crypto/err.h"
#include "formats/envelope.h"
#include "formats/key_package.h"

/* Copy a whole image or device into a new file. fd: open for reading. err: as volume_out_write(), IO */
struct volume_out;
MUST_CHECK enum err desk_rebuild_copy(int fd, uint64_t size, struct volume_out *out);

/* Write the header by libcryptsetup, with one keyslot that the passphrase opens, and see that it does.
 * path:   of the copy; its first bytes up to the data are replaced, everything behind stays
 * volume: UUID
 * ret_what: on failure, half a sentence
 * err: UNSUPPORTED, RANGE (the copy is too small), IO, NOMEM, AUTH (it does not open) */
MUST_CHECK enum err desk_rebuild_header(const char *path, const struct guid *volume,
                                        const struct key_package *p, const struct secret *passphrase,
                                        const char **ret_what);
