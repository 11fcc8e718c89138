#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an answer is made of, one part each; sync.c takes them in their order. Of these functions none fails
 * because of what a server says: what does not verify is counted in the outcome. err: FULL, IO (the cache) */

#include "agent/msg.h"
#include "agent/state/agent.h"
#include "agent/sync/sync.h"
#include "crypto/err.h"

/* sync_signed.c: what counts only under a receipt key of org.json.
 * device: the identity that the batch was made for */
MUST_CHECK enum err sync_take_receipt(struct agent *a, const uint8_t device[static 32],
                                      struct msg_span receipt, struct sync_outcome *o);
MUST_CHECK enum err sync_take_command(struct agent *a, struct msg_span command, struct sync_outcome *o);

/* sync_audit.c: the head that goes back with the next batch, and the server's word on it. The word goes along
 * only where a server asked for it: a heartbeat is small. b keeps the bytes that ret borrows. */
MUST_CHECK enum err sync_audit_word(struct agent *a, struct sync_batch *b, struct msg *ret);
MUST_CHECK enum err sync_take_audit_head(struct agent *a, const struct msg *answer);
MUST_CHECK enum err sync_take_asked(struct agent *a, const struct msg *answer, struct sync_outcome *o);

/* sync_chain.c: every vault has a chain of its own, and servers of several may answer. The head that goes out
 * is the current one; those of others are parked until their server answers again. In the cache, beside
 * SYNC_AUDIT_HASH and SYNC_AUDIT_WORD: */
#define SYNC_AUDIT_LENGTH "audit_length"
#define SYNC_AUDIT_CHAIN  "audit_chain"
#define SYNC_CHAIN        4 /* bytes of a chain's ID that tell it from others. source: docs/formats.md#sync */
enum sync_chain {
    SYNC_CHAIN_SAME,   /* as the current head */
    SYNC_CHAIN_UNTOLD, /* nobody said of which chain that is, or there is none */
    SYNC_CHAIN_PARKED,
    SYNC_CHAIN_NEW
};
MUST_CHECK enum err sync_chain_is(struct agent *a, const uint8_t chain[static SYNC_CHAIN],
                                  enum sync_chain *ret);
/* Park the current head and bring back that of this chain; there is none then, if it was not parked. */
MUST_CHECK enum err sync_chain_swap(struct agent *a, const uint8_t chain[static SYNC_CHAIN]);

/* sync_known.c: a server that holds later records of ours than we do shows that our cache is an old copy, or
 * the copy of another computer's (O6); then a new incarnation begins, and new keys are wanted. */
#define SYNC_LAST 8 /* bytes of a name. source: docs/formats.md#sync */
/* The beginning of the name of what the server is taken to know as our last record: our last, or another that
 * it named and that was judged while this was our last. err: NOT_FOUND (there is no record) */
MUST_CHECK enum err sync_last(struct agent *a, uint8_t ret[static SYNC_LAST]);
/* by_server: the answer came from one just now, and was not carried; what it named is remembered */
MUST_CHECK enum err sync_take_known(struct agent *a, const struct msg *answer, bool by_server);
