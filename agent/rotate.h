#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rotate: a new recovery password as protect makes it, then every old one of ours goes. The old ones go
 * only when the new one was opened and read back from the header (invariant 3). */

#include "agent/protect.h"
#include "crypto/err.h"

/* why: on failure, what went wrong; a rotation that could not be done stays wanted
 * err: AUTH (unlock does not open the volume), as protect_volume(); the new key stands even when an old one
 *      could not be removed (then the keeper's next start removes it) */
MUST_CHECK enum err rotate_volume(struct agent *a, struct header *h, const struct secret *unlock,
                                  struct problem *why, struct protect_result *ret);

/* Remember that a volume is to be rotated.
 * needs_secret: nothing opens it now; status says so, with this reason */
MUST_CHECK enum err rotate_want(struct agent *a, const struct guid *volume, bool needs_secret,
                                const char *reason);
