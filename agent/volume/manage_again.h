#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A management keyslot whose token somebody removed. Where a key of ours still opens it, that is proof enough
 * that it is ours: its token is written again, so that it is watched, and goes with its time (DESIGN section
 * 5). */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"

/* All of this volume. Keys that open none of its keyslots may be forgotten after ERR_OK.
 * err: OFFLINE (a key is in a TPM that is away: it is tried again later), BUSY, NOMEM, IO, FULL, ...
 * cost: nothing while there is no such keyslot */
MUST_CHECK enum err manage_again(struct agent *a, struct header *h);
