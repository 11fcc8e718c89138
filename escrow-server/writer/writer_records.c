/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records into the store, and what each of them means. */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include "formats/base.h"

/* Escrow and key packages are the recovery store's; reports and events are for the compliance store. */
enum store_half writer_half_of(const struct record *r)
{
    return r->kind == RECORD_ESCROW || r->kind == RECORD_KEY_PACKAGE ? STORE_RECOVERY : STORE_COMPLIANCE;
}

bool writer_closes_order(const struct record *r)
{
    return r->kind == RECORD_EVENT && (r->event == EVENT_ROTATED || r->event == EVENT_DONE);
}

void writer_flag(struct batch *b, const char *kind, const struct store_record *r)
{
    char device[BASE16_LEN(32) + 1];
    base16_encode(r->r.device, 32, device);
    metrics_flag(kind);
    if (metrics_may_log(device, BASE16_LEN(32)))
        slog(SLOG_WARN, "flag", "kind=%s device=%s sequence=%llu", kind, device,
             (unsigned long long)r->r.sequence);
    if (batch_need(b, STORE_RECOVERY) == ERR_OK && b->w->ops->flag_put(b->w->store, kind, r) != ERR_OK)
        slog(SLOG_WARN, "flag", "device=%s not-stored=1", device); /* it is in the log; the record counts */
}

/* The order stands in the recovery store; the record is not receipted before both know. */
static enum err take_event(struct batch *b, struct pending *p, const struct store_record *r)
{
    if (r->r.event == EVENT_CLOCK)
        writer_flag(b, "clock", r);
    if (r->r.event == EVENT_IDENTITY) /* another TPM, a moved disk, or a clone */
        writer_flag(b, "identity", r);
    if (r->r.event == EVENT_WENT_BACK) /* an old image of the disk, or of the cache alone */
        writer_flag(b, "restored", r);
    if (!writer_closes_order(&r->r))
        return ERR_OK;
    p->both = true;
    TRY(batch_need(b, STORE_RECOVERY));
    TRY(b->w->ops->mark(b->w->store, STORE_RECOVERY));
    return batch_unmark(b, STORE_RECOVERY, writer_order_done(b, &r->r));
}

/* By the device's clock, which may be wrong by years; then it lands in the first bucket or in the last. */
static void count_new(const struct store_record *r)
{
    uint64_t now = r->received_us / 1000000;
    metrics_add(METRIC_RECORDS + r->r.kind - RECORD_ESCROW, 1);
    metrics_observe(METRIC_RECORD_AGE, metrics_age_bounds, now > r->r.time ? now - r->r.time : 0);
}

enum err writer_record_put(struct batch *b, struct pending *p, const struct store_record *r,
                           const struct store_put *put)
{
    if (r->r.kind == RECORD_EVENT)
        TRY(take_event(b, p, r));
    if (!put->is_new)
        return ERR_OK;
    count_new(r);
    if (writer_half_of(&r->r) == STORE_RECOVERY && writer_was_receipted(b->w, p, r))
        writer_flag(b, "lost", r);
    if (put->fork)
        writer_flag(b, "fork", r);
    return ERR_OK;
}

/* Another device's key: a sighting. Ownership moves only with a key that the other one makes itself.
 * ret: NULL for what is no escrow record, else scratch */
static enum err envelope_of(const struct store_record *r, struct envelope *scratch,
                            const struct envelope **ret)
{
    *ret = NULL;
    if (r->r.kind != RECORD_ESCROW)
        return ERR_OK;
    TRY(envelope_decode(r->r.envelope, r->r.envelope_len, scratch));
    *ret = scratch;
    return ERR_OK;
}

static enum err put_one(const struct writer_state *w, enum store_half half, const struct store_record *r,
                        struct store_put *ret)
{
    struct envelope scratch;
    const struct envelope *e;
    struct store_put put = {.fork = false};
    TRY(envelope_of(r, &scratch, &e));
    TRY(w->ops->record_put(w->store, half, r, &put.is_new));
    if (e != NULL)
        TRY(w->ops->envelope_put(w->store, r, e));
    if (r->r.kind == RECORD_EVENT)
        TRY(w->ops->event_put(w->store, r));
    if (put.is_new)
        TRY(w->ops->forked(w->store, half, r, &put.fork));
    *ret = put;
    return ERR_OK;
}

enum err writer_post(const struct writer_state *w, const struct taken *t, enum store_half half)
{
    struct envelope scratch;
    const struct envelope *e;
    for (unsigned i = 0; i < t->n; i++) {
        if (writer_half_of(&t->r[i].r) != half)
            continue;
        TRY(envelope_of(&t->r[i], &scratch, &e));
        TRY(w->ops->post(w->store, half, &t->r[i], e));
    }
    return ERR_OK;
}

enum err writer_posted(const struct writer_state *w, const struct taken *t, enum store_half half)
{
    for (unsigned i = 0; i < t->n; i++)
        if (writer_half_of(&t->r[i].r) == half)
            TRY(w->ops->posted(w->store, half, &t->r[i], &t->put[i]));
    return ERR_OK;
}

unsigned writer_count_of(const struct taken *t, enum store_half half)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++)
        n += writer_half_of(&t->r[i].r) == half;
    return n;
}

unsigned writer_new_of(const struct taken *t, enum store_half half)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++)
        n += writer_half_of(&t->r[i].r) == half && t->put[i].is_new;
    return n;
}

static enum err put_some(struct writer_state *w, const struct taken *t, enum store_half half)
{
    int64_t from_ms = writer_now_ms();
    if (w->ops->room(w->store, half) >= t->n) {
        enum err e = writer_post(w, t, half);
        if (e == ERR_OK)
            e = writer_posted(w, t, half);
        writer_turned(w, half, e == ERR_OK ? writer_new_of(t, half) : writer_count_of(t, half), from_ms, e);
        return e;
    }
    for (unsigned i = 0; i < t->n; i++)
        if (writer_half_of(&t->r[i].r) == half)
            TRY(put_one(w, half, &t->r[i], &t->put[i]));
    return ERR_OK;
}

enum err writer_put(struct writer_state *w, const struct taken *t, enum store_half half)
{
    for (unsigned at = 0; at < t->n;) {
        unsigned n = writer_turn(w, half);
        if (n > t->n - at)
            n = t->n - at;
        const struct taken some = {.n = n, .r = t->r + at, .put = t->put + at};
        TRY(put_some(w, &some, half));
        at += n;
    }
    return ERR_OK;
}
