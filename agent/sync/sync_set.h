#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a server lacks is sent again (invariants 9, 10): envelopes, and key packages likewise. Where the
 * digests over all of a kind differ the server asks for the set; it gets the hashes page by page and names
 * those that it lacks; their records go into the outbox again, and to nobody a second time for the same loss.
 * docs/formats.md#sync */

#include "agent/msg.h"
#include "agent/state/agent.h"
#include "crypto/err.h"

#define SYNC_SET_PAGE 512 /* hashes; as many as a server takes */
#define SYNC_SET_TOLD 8   /* bytes of a digest. source: docs/formats.md#sync */

enum sync_set { SYNC_ENVELOPES = 0, SYNC_PACKAGES = 1, SYNC_SETS = 2 };

/* The beginning of the digest that the next batch tells: ours, or that of a server which was found to lack
 * none of ours and has more; so it has nothing to say until one of the two changes.
 * err: NOT_FOUND (none of the kind was ever made) */
MUST_CHECK enum err sync_set_digest(struct agent *a, enum sync_set which, uint8_t ret[static SYNC_SET_TOLD]);
/* The page that goes with the next batch; n is 0 while no server has asked. ret: SYNC_SET_PAGE elements */
MUST_CHECK enum err sync_set_page(struct agent *a, enum sync_set which, uint8_t (*ret)[32], unsigned *ret_n);
/* A server that knew nothing of us has taken us back: what was judged with the store before says nothing of
 * this one. */
MUST_CHECK enum err sync_set_forget(struct agent *a);
/* Take in what an answer (MSG_SYNC_ANSWER) says of one kind. waiting: such records still in the outbox; while
 * there are any, the digests differ for a good reason.
 * ret_more: something is to be sent at once */
MUST_CHECK enum err sync_set_take(struct agent *a, enum sync_set which, const struct msg *answer,
                                  unsigned waiting, bool *ret_more);
