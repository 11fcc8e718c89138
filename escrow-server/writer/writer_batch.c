/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include "formats/base.h"
#include "formats/receipt.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t writer_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int64_t writer_now_ms(void)
{
    return monotonic_ms() + 1;
}

uint64_t writer_now(void)
{
    return writer_now_us() / 1000000;
}

enum err batch_need(struct batch *b, enum store_half half)
{
    if (b->begun[half] || b->err[half] != ERR_OK)
        return b->err[half];
    b->err[half] = b->w->ops->begin(b->w->store, half);
    b->begun[half] = b->err[half] == ERR_OK;
    return b->err[half];
}

enum err batch_unmark(struct batch *b, enum store_half half, enum err e)
{
    if (e == ERR_OK)
        return b->w->ops->release(b->w->store, half);
    b->w->ops->undo(b->w->store, half);
    return e;
}

/* Work. */

static void take_token(struct batch *b, struct pending *p, const struct msg_token *t)
{
    p->err = batch_need(b, STORE_RECOVERY);
    if (p->err == ERR_OK)
        p->err = b->w->ops->token_put(b->w->store, t, writer_now());
}

static enum err work(struct batch *b, struct pending *p, const struct msg_frame *m)
{
    union {
        struct msg_sync sync;
        struct msg_enroll enroll;
        struct msg_entry entry;
        struct msg_token token;
        struct msg_change change;
        struct msg_adopt adopt;
        struct msg_losses losses;
        uint64_t loss;
    } u;
    if (m->type != MSG_SYNC && m->type != MSG_PROBE)
        writer_store_waiting(b); /* what came before it is there before it */
    switch (m->type) {
    case MSG_SYNC:
        TRY(msg_get_sync(m->body, m->len, &u.sync));
        writer_sync(b, p, &u.sync);
        return ERR_OK;
    case MSG_ENROLL:
        TRY(msg_get_enroll(m->body, m->len, &u.enroll));
        writer_enroll(b, p, &u.enroll);
        return ERR_OK;
    case MSG_DISCLOSED:
        TRY(msg_get_entry(m->body, m->len, &u.entry));
        writer_disclosed(b, p, &u.entry);
        return ERR_OK;
    case MSG_TOKEN:
        TRY(msg_get_token(m->body, m->len, &u.token));
        take_token(b, p, &u.token);
        return ERR_OK;
    case MSG_CHANGE:
        TRY(msg_get_change(m->body, m->len, &u.change));
        writer_change(b, p, &u.change);
        return ERR_OK;
    case MSG_ADOPT:
        TRY(msg_get_adopt(m->body, m->len, &u.adopt));
        writer_adopt(b, p, &u.adopt);
        return ERR_OK;
    case MSG_TAKE_BACK:
        TRY(msg_get_u64(m->body, m->len, &u.loss));
        writer_take_back(b, p, u.loss);
        return ERR_OK;
    case MSG_LOSSES:
        memset(&u.losses, 0, sizeof u.losses); /* they are compared as they lie */
        TRY(msg_get_losses(m->body, m->len, &u.losses));
        writer_losses(b->w, &u.losses);
        return ERR_OK;
    case MSG_PROBE:
        writer_probe(b, p);
        return m->len == 0 ? ERR_OK : ERR_FORMAT;
    default:
        return ERR_FORMAT;
    }
}

void writer_ahead(const struct batch *b, const struct chan *c)
{
    struct msg_sync sync;
    struct msg_frame m;
    size_t at = 0;
    for (unsigned n = b->n; n < WRITER_BATCH && chan_look(c, &at, &m) == ERR_OK; n++)
        if (m.type == MSG_SYNC && msg_get_sync(m.body, m.len, &sync) == ERR_OK)
            b->w->ops->ahead(b->w->store, sync.device,
                             STORE_AHEAD_DEVICE |
                                 (sync.n > 0 ? STORE_AHEAD_RECOVERY | STORE_AHEAD_COMPLIANCE : 0));
}

static struct pending *pending_new(struct chan *c, const struct msg_frame *m)
{
    struct pending *p = malloc(sizeof *p);
    if (p == NULL)
        return NULL;
    memset(p, 0, offsetof(struct pending, certificate) + 1);
    p->chan = c;
    p->id = m->id;
    p->type = m->type;
    return p;
}

static enum err take_seen(struct batch *b, const struct msg_frame *m)
{
    static struct msg_seen seen; /* in one thread */
    TRY(msg_get_seen(m->body, m->len, &seen));
    for (unsigned i = 0; i < seen.n; i++)
        writer_seen(b, &seen.item[i]);
    return ERR_OK;
}

enum err writer_take(struct batch *b, struct chan *c, const struct msg_frame *m)
{
    if (m->type == MSG_SEEN) /* nobody waits for an answer */
        return take_seen(b, m);
    struct pending *p = pending_new(c, m);
    if (p == NULL)
        return ERR_NOMEM;
    enum err e = work(b, p, m);
    if (e != ERR_OK) {
        free(p);
        return e;
    }
    b->item[b->n++] = p;
    return ERR_OK;
}

/* Answers, after the commit. */

static void answer_synced(struct writer_state *w, struct pending *p)
{
    uint8_t receipt[RECEIPT_MAX];
    struct msg_synced s;
    enum err e = writer_synced(w, p, receipt, &s);
    if (e == ERR_OK && s.incomplete && s.receipt.len == 0)
        e = p->half_err[STORE_RECOVERY] != ERR_OK ? p->half_err[STORE_RECOVERY]
                                                  : p->half_err[STORE_COMPLIANCE];
    struct writer *out = e == ERR_OK ? chan_begin(p->chan, MSG_SYNCED, p->id) : NULL;
    if (out == NULL)
        return webs_fail(p->chan, p->id, e, "The server cannot store records now; keep them and come back.");
    msg_put_synced(out, &s);
    webs_end(p->chan);
}

static void answer_probed(struct pending *p)
{
    struct msg_probed probed;
    struct writer *out = chan_begin(p->chan, MSG_PROBED, p->id);
    if (out == NULL)
        return chan_close(p->chan);
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        probed.err[half] = (uint8_t)p->half_err[half];
        probed.replicated[half] = p->replicated[half] && p->half_err[half] == ERR_OK;
    }
    msg_put_probed(out, &probed);
    webs_end(p->chan);
}

static void answer(struct writer_state *w, struct pending *p)
{
    if (!chan_is_open(p->chan))
        return;
    if (p->err != ERR_OK)
        return webs_fail(p->chan, p->id, p->err, p->detail);
    if (p->type == MSG_SYNC)
        return answer_synced(w, p);
    if (p->type == MSG_PROBE)
        return answer_probed(p);
    struct writer *out = chan_begin(p->chan, p->type == MSG_ENROLL ? MSG_ENROLLED : MSG_DONE, p->id);
    if (out == NULL)
        return chan_close(p->chan);
    if (p->type == MSG_ENROLL)
        writer_bytes(out, p->certificate, strlen(p->certificate));
    if (p->type == MSG_DISCLOSED)
        msg_put_u64(out, p->order_open);
    if (p->type == MSG_TAKE_BACK)
        msg_put_taken_back(out, &p->taken_back);
    webs_end(p->chan);
}

/* What the failed commit of a half means for one request. */
static void share_fate(struct pending *p, enum store_half half, enum err e)
{
    p->known.read[half] = false; /* of what is gone again */
    if ((p->type == MSG_SYNC || p->type == MSG_PROBE) && p->n[half] > 0) {
        p->n[half] = 0;
        p->half_err[half] = e;
    }
    if (p->type == MSG_SYNC && p->both && half == STORE_RECOVERY && p->n[STORE_COMPLIANCE] > 0) {
        p->n[STORE_COMPLIANCE] = 0;
        p->half_err[STORE_COMPLIANCE] = e;
    }
    if (p->type != MSG_SYNC && p->type != MSG_PROBE && half == STORE_RECOVERY && p->err == ERR_OK) {
        p->err = e;
        snprintf(p->detail, sizeof p->detail, "The server cannot store this now.");
    }
}

static enum err commit(struct batch *b, unsigned half, bool *ret_replicated)
{
    struct writer_state *w = b->w;
    int64_t from_us = monotonic_us();
    enum err e = b->begun[half] ? w->ops->commit(w->store, half, ret_replicated) : b->err[half];
    int64_t took_us = monotonic_us() - from_us;
    w->good_ms[half] = e == ERR_OK ? writer_now_ms() : 0;
    w->replicated[half] = e == ERR_OK && *ret_replicated;
    metrics_add(METRIC_COMMITS + 2 * half + (e != ERR_OK), 1);
    w->fresh[half] = false;
    metrics_set(METRIC_REPLICATED + half, w->replicated[half]);
    metrics_observe(METRIC_COMMIT_TIME + half * (METRICS_BUCKETS + 2), metrics_time_bounds,
                    (uint64_t)took_us);
    return e;
}

/* What the answers will say. */
static void ask_told(const struct batch *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        const struct pending *p = b->item[i];
        const bool *read = p->known.read;
        if (p->type == MSG_SYNC && p->err == ERR_OK)
            b->w->ops->ahead(b->w->store, p->device,
                             STORE_AHEAD_TOLD | (read[STORE_RECOVERY] ? 0 : STORE_AHEAD_RECOVERY) |
                                 (read[STORE_COMPLIANCE] ? 0 : STORE_AHEAD_COMPLIANCE));
    }
}

void batch_finish(struct batch *b)
{
    bool any = false;
    writer_store_waiting(b);
    writer_seen_store(b, false);
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        bool replicated = false;
        if (!b->begun[half] && b->err[half] == ERR_OK)
            continue; /* nobody wanted it */
        any = true;
        enum err e = commit(b, half, &replicated);
        for (unsigned i = 0; i < b->n; i++)
            if (e != ERR_OK)
                share_fate(b->item[i], half, e);
            else
                b->item[i]->replicated[half] = replicated;
    }
    if (any)
        metrics_observe(METRIC_BATCH, metrics_batch_bounds, b->n);
    ask_told(b);
    for (unsigned i = 0; i < b->n; i++) {
        answer(b->w, b->item[i]);
    }
    for (unsigned i = 0; i < b->n; i++) { /* the first of a channel takes all of them along */
        webs_send(b->item[i]->chan);
        free(b->item[i]);
    }
    b->w->ops->ahead_end(b->w->store);
    *b = (struct batch){.w = b->w};
}
