/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "escrow-server/pki.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/quiet.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include "formats/base.h"
#include "formats/key_package.h"
#include <stdio.h>
#include <string.h>

/* Escrow and key packages are the recovery store's; reports and events are for the compliance store. */
static enum store_half half_of(const struct record *r)
{
    return r->kind == RECORD_ESCROW || r->kind == RECORD_KEY_PACKAGE ? STORE_RECOVERY : STORE_COMPLIANCE;
}

/* The records of one request. */
struct taken {
    unsigned n;
    struct store_record r[MSG_RECORDS];
};

static enum err read_record(const struct msg_sync *m, unsigned i, struct store_record *ret)
{
    struct envelope e;
    *ret = (struct store_record){
        .bytes = m->record[i].p, .len = m->record[i].len, .received_us = writer_now_us()};
    TRY(record_decode(ret->bytes, ret->len, &ret->r));
    if (memcmp(ret->r.device, m->device, 32) != 0)
        return ERR_FORMAT;
    if (ret->r.sequence > MSG_SEQUENCE_MAX)
        return ERR_RANGE;
    if (ret->r.kind == RECORD_ESCROW)
        TRY(envelope_decode(ret->r.envelope, ret->r.envelope_len, &e));
    if (ret->r.kind == RECORD_KEY_PACKAGE)
        TRY(key_package_decode(ret->r.envelope, ret->r.envelope_len, &e));
    return record_name(ret->bytes, ret->len, ret->name);
}

/* Here and not in the web worker: a receipt is the writer's own word, and whoever takes a web worker over
 * must not get one for a record that its device did not sign. */
static enum err take_records(const struct msg_sync *m, const struct store_device *d, struct taken *ret)
{
    struct cr_p256_pub pub;
    ret->n = 0;
    if (m->n == 0)
        return ERR_OK;
    TRY(cr_p256_from_spki(d->spki, sizeof d->spki, &pub));
    for (; ret->n < m->n; ret->n++) {
        TRY(read_record(m, ret->n, &ret->r[ret->n]));
        TRY(record_verify(m->record[ret->n].p, m->record[ret->n].len, &pub));
    }
    return ERR_OK;
}

/* err: UNSUPPORTED, whatever is wrong with the record: no failure of the store is called so */
static enum err refuse_record(const struct msg_sync *m, const struct taken *t, enum err e,
                              char ret_detail[static MSG_DETAIL + 1])
{
    snprintf(ret_detail, MSG_DETAIL + 1, "Record %u of %u is refused (%s); nothing was stored.", t->n + 1,
             m->n, err_text(e));
    return e == ERR_NOMEM ? e : ERR_UNSUPPORTED;
}

static enum err check_sender(struct batch *b, const struct msg_sync *m, struct store_device *d,
                             const char **ret_detail)
{
    enum err e = b->w->ops->device_get(b->w->store, m->device, d);
    *ret_detail =
        e == ERR_NOT_FOUND ? "This device is not enrolled here." : "The recovery store cannot be read now.";
    TRY(e == ERR_NOT_FOUND ? ERR_AUTH : e);
    *ret_detail = "This device was revoked or refused.";
    if (d->revoked || d->approved == DEVICE_REFUSED)
        return ERR_AUTH;
    *ret_detail = "The certificate is not the one that the device enrolled with last.";
    if (m->has_courier && memcmp(m->courier, d->courier, sizeof m->courier) != 0)
        return ERR_AUTH;
    return ERR_OK;
}

static enum err check_request(struct batch *b, const struct msg_sync *m, struct store_device *d,
                              struct taken *taken, char ret_detail[static MSG_DETAIL + 1])
{
    const char *detail = "";
    enum err e = check_sender(b, m, d, &detail);
    snprintf(ret_detail, MSG_DETAIL + 1, "%s", detail);
    TRY(e);
    e = take_records(m, d, taken);
    return e == ERR_OK ? e : refuse_record(m, taken, e, ret_detail);
}

static void flag(struct batch *b, const char *kind, const struct store_record *r)
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

/* Another device's key: a sighting. Ownership moves only with a key that the other one makes itself. */
static enum err put_escrow(struct batch *b, const struct store_record *r)
{
    struct envelope e;
    TRY(envelope_decode(r->r.envelope, r->r.envelope_len, &e));
    return b->w->ops->envelope_put(b->w->store, r, &e);
}

/* The order stands in the recovery store; the record is not receipted before both know. */
static enum err put_event(struct batch *b, struct pending *p, const struct store_record *r)
{
    TRY(b->w->ops->event_put(b->w->store, r));
    if (r->r.event == EVENT_CLOCK)
        flag(b, "clock", r);
    if (r->r.event == EVENT_IDENTITY) /* another TPM, a moved disk, or a clone */
        flag(b, "identity", r);
    if (r->r.event == EVENT_WENT_BACK) /* an old image of the disk, or of the cache alone */
        flag(b, "restored", r);
    if (r->r.event != EVENT_ROTATED && r->r.event != EVENT_DONE)
        return ERR_OK;
    p->both = true;
    TRY(batch_need(b, STORE_RECOVERY));
    return writer_order_done(b, &r->r);
}

/* By the device's clock, which may be wrong by years; then it lands in the first bucket or in the last. */
static void count_new(const struct store_record *r)
{
    uint64_t now = r->received_us / 1000000;
    metrics_add(METRIC_RECORDS + r->r.kind - RECORD_ESCROW, 1);
    metrics_observe(METRIC_RECORD_AGE, metrics_age_bounds, now > r->r.time ? now - r->r.time : 0);
}

static enum err put_record(struct batch *b, struct pending *p, const struct store_record *r)
{
    struct writer_state *w = b->w;
    enum store_half half = half_of(&r->r);
    bool is_new = false, fork = false;
    TRY(batch_need(b, half));
    if (r->r.kind == RECORD_ESCROW) /* first: nobody waits for its answer, but for the next one */
        TRY(put_escrow(b, r));
    w->ops->ahead_fork(w->store, half, r);
    TRY(w->ops->record_put(w->store, half, r, &is_new));
    if (r->r.kind == RECORD_EVENT)
        TRY(put_event(b, p, r));
    if (!is_new)
        return ERR_OK;
    count_new(r);
    if (half == STORE_RECOVERY && writer_was_receipted(w, p, r))
        flag(b, "lost", r);
    TRY(w->ops->forked(w->store, half, r, &fork));
    if (fork)
        flag(b, "fork", r);
    return ERR_OK;
}

static bool has(struct batch *b, const struct record *r, uint64_t sequence)
{
    bool there = false;
    for (unsigned half = 0; half < STORE_HALVES && !there; half++)
        if (b->w->ops->has_sequence(b->w->store, half, r->device, r->incarnation, sequence, &there) != ERR_OK)
            return true; /* no accusation without a look */
    return there;
}

/* An incarnation goes on after another one had followed it: one of them is a clone, or an image put back. */
static void check_clone(struct batch *b, const struct taken *t, const struct store_known *before)
{
    const struct store_record *r = &t->r[0];
    if (memcmp(r->r.incarnation, before->incarnation, 16) == 0)
        return;
    if (has(b, &r->r, 0) && !has(b, &r->r, r->r.sequence))
        flag(b, "clone", r);
}

static bool follows(const struct record *r, const struct store_known *last)
{
    return r->sequence == last->sequence + 1 && memcmp(r->incarnation, last->incarnation, 16) == 0;
}

/* last: what was known before them, all zero: nothing. As a rule that says it, without a look. */
static void check_gaps(struct batch *b, const struct pending *p, const struct taken *t,
                       struct store_known last)
{
    for (unsigned i = 0; i < t->n; i++) {
        const struct store_record *r = &t->r[i];
        if (p->half_err[half_of(&r->r)] != ERR_OK)
            continue;
        if (r->r.sequence > 1 && !follows(&r->r, &last) && !has(b, &r->r, r->r.sequence - 1))
            flag(b, "gap", r);
        last.sequence = r->r.sequence;
        memcpy(last.incarnation, r->r.incarnation, sizeof last.incarnation);
    }
}

/* All records of one request and one half, or none of them. */
static void store_half(struct batch *b, struct pending *p, const struct taken *t, enum store_half half)
{
    enum err e = ERR_OK;
    unsigned n = 0;
    bool marked =
        false; /* only what was marked for this request may be undone: the mark before is another's */
    for (unsigned i = 0; i < t->n && e == ERR_OK; i++) {
        const struct store_record *r = &t->r[i];
        if (half_of(&r->r) != half)
            continue;
        if (!marked && (e = batch_need(b, half)) == ERR_OK) {
            e = b->w->ops->mark(b->w->store, half);
            marked = e == ERR_OK;
        }
        if (e == ERR_OK)
            e = put_record(b, p, r);
        if (e != ERR_OK)
            break;
        memcpy(p->name[half][n++], r->name, 32);
        writer_goes_on(&p->known, half, r);
    }
    if (marked && e == ERR_OK)
        e = b->w->ops->release(b->w->store, half);
    else if (marked)
        b->w->ops->undo(b->w->store, half);
    p->half_err[half] = e;
    p->n[half] = e == ERR_OK ? n : 0;
    p->known.read[half] = p->known.read[half] && p->n[half] == n; /* nothing was undone */
}

/* Only the key that the device enrolled with is certified again, whatever a web worker says. */
static void renew(struct batch *b, struct pending *p, const struct msg_sync *m, const struct store_device *d)
{
    const struct pki_ca ca = {b->w->ca_key, b->w->org.ca};
    uint8_t key[32];
    if (m->renew.len == 0)
        return;
    enum err e = cr_sha256(m->renew.p, m->renew.len, key);
    if (e == ERR_OK && memcmp(key, d->courier, sizeof key) != 0)
        e = ERR_DENIED;
    if (e == ERR_OK)
        e = pki_renew_courier(&ca, m->renew.p, m->renew.len, m->device, p->certificate);
    if (e != ERR_OK)
        slog(SLOG_WARN, "sync", "certificate-not-renewed=1 reason=\"%s\"", err_text(e));
}

static void take_set(struct pending *p, const struct msg_sync *m)
{
    p->n_set = (unsigned)(m->set.len / 32);
    if (m->set.len > 0)
        memcpy(p->set, m->set.p, m->set.len);
    p->has_packages = m->has_packages;
    memcpy(p->packages, m->packages, sizeof p->packages);
    p->n_package_set = (unsigned)(m->package_set.len / 32);
    if (m->package_set.len > 0)
        memcpy(p->package_set, m->package_set.p, m->package_set.len);
}

static void store_records(struct batch *b, struct pending *p, const struct taken *t)
{
    struct store_known before = {.sequence = 0};
    if (t->n == 0)
        return;
    if (writer_known(b->w, p, &before) == ERR_OK)
        check_clone(b, t, &before);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        store_half(b, p, t, half);
    check_gaps(b, p, t, before);
}

static void note_seen(struct batch *b, const struct msg_sync *m)
{
    struct msg_seen_one one = {.time = writer_now(), .has_head = m->has_head};
    memcpy(one.device, m->device, sizeof one.device);
    memcpy(one.audit_head, m->audit_head, sizeof one.audit_head);
    writer_seen(b, &one);
}

void writer_sync(struct batch *b, struct pending *p, const struct msg_sync *m)
{
    static struct taken taken; /* in one thread */
    struct store_device d;
    p->err = check_request(b, m, &d, &taken, p->detail);
    if (p->err != ERR_OK) {
        if (writer_may_log(m->device))
            slog(p->err == ERR_UNSUPPORTED ? SLOG_WARN : SLOG_ERROR, "sync", "refused=\"%s\" reason=\"%s\"",
                 p->detail, err_text(p->err));
        return;
    }
    memcpy(p->device, m->device, 32);
    memcpy(p->courier, d.courier, sizeof p->courier);
    p->approved = d.approved == DEVICE_APPROVED;
    memcpy(p->envelopes, m->envelopes, sizeof p->envelopes);
    p->attempt = m->attempt;
    take_set(p, m);
    writer_take_proofs(b->w, p, m);
    renew(b, p, m, &d);
    store_records(b, p, &taken);
    p->drops = quiet_drops(m->device);
    p->n_proofs = 0; /* they lie in the message */
    note_seen(b, m);
}
