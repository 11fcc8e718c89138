#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper's half of a sync: what goes out, and what an answer means. The courier only carries it;
 * receipts and commands count only when their signatures verify under a receipt key of org.json. */

#include "agent/msg.h"
#include "agent/state/agent.h"
#include "agent/sync/sync_set.h"
#include "crypto/err.h"
#include "formats/audit_head.h"

#define SYNC_PROOFS 4 /* in one batch. source: docs/formats.md#sync */

/* A batch owns the records that the message borrows. */
struct sync_batch {
    struct cache_record record[MSG_LIST_MAX], proof[SYNC_PROOFS];
    unsigned n, n_proofs;
    uint8_t device[32], envelopes[SYNC_SET_TOLD], audit_head[32], audit_word[AUDIT_HEAD_LEN];
    uint8_t set[SYNC_SETS][SYNC_SET_PAGE][32], packages[SYNC_SET_TOLD], last[8];
};
/* device: in whose name: ours, or that of an earlier identity of this computer whose records still wait */
MUST_CHECK enum err sync_batch_make(struct agent *a, const uint8_t device[static 32], struct sync_batch *b,
                                    struct msg *ret);
void sync_batch_wipe(struct sync_batch *b);

struct sync_outcome {
    unsigned receipted; /* records that this answer covered */
    unsigned refused;   /* receipts, commands, certificates and policies that did not verify */
    unsigned waiting;   /* records still in the outbox */
    bool more;          /* something is to be sent at once */
};

/* Take in a successful answer. err: FULL, IO (the cache) */
MUST_CHECK enum err sync_apply(struct agent *a, const struct msg *answer, struct sync_outcome *ret);
/* The same for one that a person carried: how old it is, nobody knows, so it says nothing about the clock,
 * and nothing about the set of envelopes. */
MUST_CHECK enum err sync_apply_carried(struct agent *a, const struct msg *answer, struct sync_outcome *ret);
/* In the cache: the hash of the audit head that goes back with the next batch. */
#define SYNC_AUDIT_HASH "audit_hash"
/* The server's signed word on it, where it gave one: it proves what a log once had. */
#define SYNC_AUDIT_WORD "audit_word"
/* Of an answer to a batch in the name of an earlier identity only the receipts count. */
MUST_CHECK enum err sync_apply_former(struct agent *a, const uint8_t device[static 32],
                                      const struct msg *answer, struct sync_outcome *ret);
