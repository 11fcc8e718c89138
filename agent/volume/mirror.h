#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bring the cache in line with a volume's header, which is the truth: keys, envelopes and their escrow
 * records, state, and the event "rotated" for a key that went. Works from an empty cache. */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"
#include "formats/envelope.h"

/* One transaction; the cache stays as it was on failure. err: FULL, IO */
MUST_CHECK enum err mirror_volume(struct agent *a, struct header *h);

/* The password of this key, which is gone, came into somebody's hands, and he may have a copy of the header:
 * status says that re-encryption is recommended, until the volume key is another one. Recorded once. */
MUST_CHECK enum err mirror_note_exposed(struct agent *a, const struct guid *volume,
                                        const struct guid *key_id);

/* The volume's device is here and has no LUKS2 header any more: nothing opens it. Its state, a note and an
 * event say so, once; a header that is written back ends that at the next look. A volume without keys stays
 * as it is. err: NOT_FOUND (no such volume), FULL, IO */
MUST_CHECK enum err mirror_destroyed(struct agent *a, const struct guid *volume);

/* Only remember that the volume is there, inside a transaction of the caller: start-up looks at every volume
 * that is remembered. One that is known stays as it is. */
MUST_CHECK enum err mirror_note_volume(struct agent *a, struct header *h);
