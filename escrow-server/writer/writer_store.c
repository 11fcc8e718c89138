/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The records of requests into the halves. Each request has a mark of its own, so that what fails undoes
 * nothing else. Where a turn to the database and back takes longer than to put a record (store.h, room), the
 * records of a batch are put in one turn, behind one mark: nothing is counted, flagged or receipted before
 * all answers are there, so that a failure leaves nothing behind, and each request is then stored by itself.
 */
#include "escrow-server/process/quiet.h"
#include "escrow-server/writer/writer.h"
#include <stdlib.h>
#include <string.h>

#define WAITS_RECORDS 16 /* more than these is a turn that is worth it alone, and much to copy */
#define WAITS_BYTES   65536

struct waiting {
    struct taken t;
    struct store_known before;
    struct store_put put[WAITS_RECORDS];
    struct store_record r[WAITS_RECORDS];
    uint8_t bytes[]; /* of the records; those of the message are gone when the next one is read */
};

static enum err take_all(struct batch *b, struct pending *p, const struct taken *t, enum store_half half)
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->n; i++) {
        const struct store_record *r = &t->r[i];
        if (writer_half_of(&r->r) != half)
            continue;
        TRY(writer_record_put(b, p, r, &t->put[i]));
        memcpy(p->name[half][n++], r->name, 32);
        writer_goes_on(&p->known, half, r);
    }
    p->n[half] = n;
    return ERR_OK;
}

/* All records of one request and one half, or none of them. Where they are put already, nothing that follows
 * can fail but the whole transaction. */
static void store_half(struct batch *b, struct pending *p, const struct taken *t, enum store_half half)
{
    struct writer_state *w = b->w;
    bool marked =
        false; /* only what was marked for this request may be undone: the mark before is another's */
    enum err e = batch_need(b, half);
    if (e == ERR_OK && !t->is_put[half]) {
        e = w->ops->mark(w->store, half);
        marked = e == ERR_OK;
        if (marked)
            e = writer_put(w, t, half);
    }
    if (e == ERR_OK)
        e = take_all(b, p, t, half);
    if (marked)
        e = batch_unmark(b, half, e);
    p->half_err[half] = e;
    if (e == ERR_OK)
        return;
    p->n[half] = 0;
    p->known.read[half] = false; /* of what was undone */
}

static void look(struct batch *b, struct pending *p, const struct taken *t, struct store_known *ret_before)
{
    if (writer_known(b->w, p, ret_before) == ERR_OK)
        writer_check_clone(b, t, ret_before);
}

static void store(struct batch *b, struct pending *p, const struct taken *t, const struct store_known *before)
{
    for (unsigned half = 0; half < STORE_HALVES; half++)
        if (writer_count_of(t, half) > 0)
            store_half(b, p, t, half);
    writer_check_gaps(b, p, t, *before);
}

/* Those that wait. */

static const uint8_t *moved(const uint8_t *p, const uint8_t *from, const uint8_t *to)
{
    return p == NULL ? NULL : to + (p - from);
}

static void copy_record(struct store_record *to, const struct store_record *r, uint8_t *bytes)
{
    memcpy(bytes, r->bytes, r->len);
    *to = *r;
    to->bytes = bytes;
    to->r.envelope = moved(r->r.envelope, r->bytes, bytes);
    to->r.report = moved(r->r.report, r->bytes, bytes);
}

/* ret NULL: no memory, so they do not wait */
static struct waiting *copy(const struct taken *t, size_t len)
{
    struct waiting *ret = malloc(sizeof *ret + len);
    size_t at = 0;
    if (ret == NULL)
        return NULL;
    ret->t = (struct taken){.n = t->n, .r = ret->r, .put = ret->put};
    ret->before = (struct store_known){.sequence = 0};
    for (unsigned i = 0; i < t->n; at += t->r[i++].len)
        copy_record(&ret->r[i], &t->r[i], ret->bytes + at);
    return ret;
}

/* What closes an order writes to both halves, and a proof lies in the message: both are rare.
 * ret_len: of all records */
static bool may_wait(const struct batch *b, const struct pending *p, const struct taken *t, size_t *ret_len)
{
    size_t len = 0;
    if (t->n > WAITS_RECORDS || p->n_proofs > 0)
        return false;
    for (unsigned i = 0; i < t->n; i++) {
        if (writer_closes_order(&t->r[i].r) || b->w->ops->room(b->w->store, writer_half_of(&t->r[i].r)) == 0)
            return false;
        len += t->r[i].len;
    }
    *ret_len = len;
    return len <= WAITS_BYTES;
}

/* Nothing goes before a request of the same device. */
static void keep_order(struct batch *b, const struct pending *p)
{
    for (unsigned i = 0; i < b->n; i++)
        if (b->item[i]->waits != NULL && memcmp(b->item[i]->device, p->device, sizeof p->device) == 0)
            return writer_store_waiting(b);
}

void writer_store(struct batch *b, struct pending *p, const struct taken *t)
{
    struct store_known before = {.sequence = 0};
    size_t len;
    p->drops = quiet_drops(p->device);
    if (t->n == 0)
        return;
    keep_order(b, p);
    p->waits = may_wait(b, p, t, &len) ? copy(t, len) : NULL;
    if (p->waits != NULL)
        return;
    look(b, p, t, &before);
    store(b, p, t, &before);
    p->drops = quiet_drops(p->device); /* what it did itself is no news; who waits is not quiet this time */
}

/* From *at, as many as a turn has. One that there is no room for is stored by itself; that none is kept is
 * the store's affair, which makes room of what was taken.
 * *at: where the next turn begins; ret_n: records */
static enum err post_some(const struct batch *b, enum store_half half, unsigned *at, unsigned *ret_n)
{
    const struct writer_state *w = b->w;
    for (unsigned most = writer_turn(w, half); *at < b->n; ++*at) {
        struct waiting *v = b->item[*at]->waits;
        unsigned n = v == NULL ? 0 : writer_count_of(&v->t, half);
        if (n == 0)
            continue;
        bool fits = w->ops->room(w->store, half) >= n;
        if (*ret_n > 0 && (!fits || *ret_n + n > most))
            break;
        if (!fits)
            continue;
        *ret_n += n;
        v->t.is_put[half] = true;
        TRY(writer_post(w, &v->t, half));
    }
    return ERR_OK;
}

/* ret_new: records */
static enum err take_answers(const struct batch *b, enum store_half half, unsigned from, unsigned to,
                             unsigned *ret_new)
{
    unsigned n = 0;
    for (unsigned i = from; i < to; i++) {
        struct waiting *v = b->item[i]->waits;
        if (v == NULL || !v->t.is_put[half])
            continue;
        TRY(writer_posted(b->w, &v->t, half));
        n += writer_new_of(&v->t, half);
    }
    *ret_new = n;
    return ERR_OK;
}

static enum err post_turn(struct batch *b, enum store_half half, unsigned *at)
{
    int64_t from_ms = writer_now_ms();
    unsigned n = 0, from = *at;
    enum err e = post_some(b, half, at, &n);
    if (e == ERR_OK)
        e = take_answers(b, half, from, *at, &n);
    writer_turned(b->w, half, n, from_ms, e);
    return e;
}

static enum err post_all(struct batch *b, enum store_half half)
{
    for (unsigned at = 0; at < b->n;)
        TRY(post_turn(b, half, &at));
    return ERR_OK;
}

/* Any failure means that none of them is put. */
static void put_waiting(struct batch *b, enum store_half half)
{
    const struct writer_state *w = b->w;
    if (batch_need(b, half) != ERR_OK || w->ops->mark(w->store, half) != ERR_OK)
        return; /* each request hears why */
    enum err e = batch_unmark(b, half, post_all(b, half));
    for (unsigned i = 0; i < b->n && e != ERR_OK; i++)
        if (b->item[i]->waits != NULL)
            b->item[i]->waits->t.is_put[half] = false;
}

void writer_store_waiting(struct batch *b)
{
    bool wanted[STORE_HALVES] = {false};
    for (unsigned i = 0; i < b->n; i++) {
        struct waiting *v = b->item[i]->waits;
        if (v == NULL)
            continue;
        look(b, b->item[i], &v->t, &v->before);
        for (unsigned half = 0; half < STORE_HALVES; half++)
            wanted[half] = wanted[half] || writer_count_of(&v->t, half) > 0;
    }
    for (unsigned half = 0; half < STORE_HALVES; half++)
        if (wanted[half])
            put_waiting(b, half);
    for (unsigned i = 0; i < b->n; i++) {
        struct waiting *v = b->item[i]->waits;
        if (v != NULL)
            store(b, b->item[i], &v->t, &v->before);
        free(v);
        b->item[i]->waits = NULL;
    }
}
