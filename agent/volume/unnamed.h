#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recovery keyslots of ours whose token somebody removed: they still open the volume, and nothing in the
 * header says what they are. The cache does: number, count and fingerprint (DESIGN section 5). */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"

enum unnamed {
    UNNAMED_NONE = 0,  /* a token names it, or there is no such keyslot */
    UNNAMED_OURS = 1,  /* it is what was proved, or one that was never finished */
    UNNAMED_UNSURE = 2 /* its number and count, but not what was proved: whose it is only a person can tell */
};

/* What became of the keyslot of a key of the cache. cost: reads the keyslot's area when number and count fit
 */
enum unnamed unnamed_slot(struct header *h, const struct cache_key *k);
/* Remove those that are ours: one that was in use only while another key stands as it was proved
 * (invariant 3).
 * err: as header_destroy_slot(): the first one, with its sentence in h->why */
MUST_CHECK enum err unnamed_remove(struct agent *a, struct header *h);
