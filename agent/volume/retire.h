#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recovery keys that may go (agent/volume/settle.h) do: token retired → keyslot destroyed → token removed.
 * One that stays was proved to open, on the very header from which the other one goes (invariant 3). */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "agent/volume/settle.h"
#include "crypto/err.h"

/* The keys of a header as the rules see them. ret, ret_number: LUKS2_TOKENS elements, the latter the tokens'
 * numbers. Returns how many */
unsigned retire_list(struct agent *a, struct header *h, struct settle_key *ret, int *ret_number);
/* Number of the token of N, or of what would be N if the token aside were not there; -1 none */
int retire_newest(struct agent *a, struct header *h, int aside);

/* Let go what may go, keyslots of ours that no token names any more (agent/volume/unnamed.h) included.
 * asked: a person wants it, so that keys which this computer does not know go, too. Else only known ones do;
 *        after a repair also those that say they are from here
 * err:   CONFLICT (what was to stay is not any more what was proved; then the others stay), IO, ...: the
 * first one, with its sentence in h->why; one that cannot go does not keep the others */
MUST_CHECK enum err retire_settled(struct agent *a, struct header *h, bool asked);

/* Destroy a token's keyslot, if it is ours, then the token. keep: as header_destroy_slot() */
MUST_CHECK enum err retire_remove(struct agent *a, struct header *h, int number, const struct guid *keep);
/* Keep the first failure and its sentence of several. */
enum err retire_first(struct header *h, enum err first, enum err e, struct problem *said);
