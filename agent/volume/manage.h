#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The management keyslot of a volume: the agent's own way in, so that it can rotate without a person (DESIGN
 * section 4). Nothing that opens a volume for people depends on it: on any doubt it is removed, and made
 * again when something opens the volume. A PIN or passphrase at boot stays what it is: the key lies inside
 * the encrypted root, where nobody is before the root is open. */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"

/* Make one, unless there is one that works; then those of other devices and earlier ones go.
 * volume_key: proved
 * err: UNSUPPORTED (the root is not encrypted), FULL, CONFLICT, IO, ...; what was begun is undone, or at the
 * next start. The sentence is in h->why */
MUST_CHECK enum err manage_ensure(struct agent *a, struct header *h, const struct secret *volume_key);

/* Start-up, and each check: what an interrupted run left goes; so does a keyslot of this device whose key is
 * gone. One whose key is in a TPM that is only away stays. Then prove that the key opens.
 * ret_state: enum cache_management
 * err:       as of the changes; ret_state holds all the same */
MUST_CHECK enum err manage_check(struct agent *a, struct header *h, uint8_t *ret_state);

/* The volume key, by the management key.
 * err: NOT_FOUND (there is none here that works), OFFLINE (the TPM that holds it is away), BUSY (not now) */
MUST_CHECK enum err manage_unlock(struct agent *a, struct header *h, struct secret *ret_volume_key);
