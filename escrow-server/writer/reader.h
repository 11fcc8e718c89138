#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reader: answers what needs no writing, from store connections of its own that cannot write, so that a
 * look-up waits for no batch and no commit. It sees all that was committed before it was asked. */

#include "escrow-server/process/child.h"
#include "escrow-server/process/revoked.h"
#include "escrow-server/process/webs.h"
#include "escrow-server/store/store.h"
#include "formats/org.h"

struct reader_state {
    const struct store_ops *ops;
    struct store *store;
    struct webs webs;
    bool away;             /* the last answer was that the store is */
    bool hold;             /* a question may wait for it */
    int64_t hold_again_ms; /* while it is away, not before */
    struct reader_sweep {
        uint64_t silent_s;
        int64_t again_ms;
        bool amid;
        uint8_t after[32];
        uint64_t all, silent, waiting, revoked;
    } sweep; /* through the devices, to count them */
    struct reader_revoked {
        const char *root;
        struct guid org;
        uint64_t version;
        struct revoked list;
    } revoked; /* by org.json */
};

/* reader_answer.c: answer one question. err: FORMAT (the web worker talks nonsense) */
MUST_CHECK enum err reader_answer(struct reader_state *r, struct chan *c, const struct msg_frame *m);
/* reader_sweep.c: one step through the devices, so that /metrics knows how many are silent. now_ms: monotonic
 * Returns after how many milliseconds the next one is due */
int reader_sweep(struct reader_state *r, int64_t now_ms);
/* reader_revoked.c: read the revocation list of org.json, which a person may have replaced. Where the file is
 * not good (the web workers say so), or older, the list before it holds. */
void reader_revoked_load(struct reader_revoked *r);
