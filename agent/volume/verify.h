#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Look at every keyslot of ours (invariant 8): at start, on a timer, when a header changed, when a person
 * asks. What was interrupted is brought in order, everything that opening depends on is compared with what
 * was proved, and the management key is tried. */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"

/* One volume. What is found goes into the cache and the outbox; failures are said.
 * err: what kept it from looking; ERR_OK also when a key is not verified (the cache says which) */
MUST_CHECK enum err verify_volume(struct agent *a, struct header *h);
/* All of this computer; those that should be here and have no header any more are recorded. */
void verify_volumes(struct agent *a);
/* Is the newest key of this volume old enough to be replaced by policy? Then it is wanted. One that was made
 * with a clock in the future is as old as its first look with a clock that says less. */
MUST_CHECK enum err verify_schedule(struct agent *a, const struct guid *volume);
