#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which recovery keyslots and tokens are ours, so that they may be changed (invariant 5), judged by header
 * and cache. Where the cache was lost, the header's word is taken (invariant 10, outage line O6). */

#include "agent/state/agent.h"
#include "agent/volume/header.h"

/* What the cache knows of this key: true when we made it, or saw it proved before. */
bool owned_is_known(struct agent *a, const struct header *h, const struct luks2_token *t,
                    struct cache_key *ret);
/* Did we make the keyslot of this token, so that it may be destroyed? */
bool owned_slot(struct agent *a, struct header *h, int number);
/* Is its keyslot there, and not ours to destroy? Then the token stays, too. */
bool owned_hands_off(struct agent *a, struct header *h, int number);
/* Do two tokens of ours name one keyslot? Then neither can say what it is. */
bool owned_is_shared(const struct header *h, int number);
/* Made on this computer, for this organisation? The envelope says so; nothing proves it. */
bool owned_is_from_here(const struct agent *a, const struct luks2_token *t);
