/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "escrow-server/pki.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include "formats/base.h"
#include "formats/key_package.h"
#include "formats/receipt.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Escrow and key packages are the recovery store's; reports and events are for the compliance store. */
static enum store_half half_of(const struct record *r)
{
    return r->kind == RECORD_ESCROW || r->kind == RECORD_KEY_PACKAGE ? STORE_RECOVERY : STORE_COMPLIANCE;
}

static enum err read_record(const struct msg_sync *m, unsigned i, struct store_record *ret)
{
    struct store_record r = {
        .bytes = m->record[i].p, .len = m->record[i].len, .received_us = writer_now_us()};
    TRY(record_decode(r.bytes, r.len, &r.r));
    TRY(record_name(r.bytes, r.len, r.name));
    if (memcmp(r.r.device, m->device, 32) != 0)
        return ERR_FORMAT;
    *ret = r;
    return ERR_OK;
}

/* The web worker has judged all this before; but a receipt is the writer's own word, and whoever takes a web
 * worker over must not get one for a record that its device did not sign. */
static enum err check_record(const struct msg_sync *m, unsigned i, const struct cr_p256_pub *pub)
{
    struct store_record r;
    struct envelope e;
    TRY(read_record(m, i, &r));
    if (r.r.sequence > MSG_SEQUENCE_MAX)
        return ERR_RANGE;
    if (r.r.kind == RECORD_ESCROW)
        TRY(envelope_decode(r.r.envelope, r.r.envelope_len, &e));
    if (r.r.kind == RECORD_KEY_PACKAGE)
        TRY(key_package_decode(r.r.envelope, r.r.envelope_len, &e));
    return record_verify(r.bytes, r.len, pub);
}

static enum err check_request(struct batch *b, const struct msg_sync *m, struct store_device *d,
                              const char **ret_detail)
{
    struct cr_p256_pub pub;
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
    *ret_detail = "A record is not one of this device; nothing was stored.";
    if (m->n == 0)
        return ERR_OK;
    TRY(cr_p256_from_spki(d->spki, sizeof d->spki, &pub));
    for (unsigned i = 0; i < m->n; i++)
        TRY(check_record(m, i, &pub));
    return ERR_OK;
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
    return writer_order_done(b, r->r.device, &r->r.other_key_id);
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
    TRY(w->ops->record_put(w->store, half, r, &is_new));
    if (r->r.kind == RECORD_ESCROW)
        TRY(put_escrow(b, r));
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

static enum err known_of(struct writer_state *w, const uint8_t device[static 32], struct store_known *ret)
{
    struct store_known k[STORE_HALVES];
    enum err e[STORE_HALVES];
    for (unsigned half = 0; half < STORE_HALVES; half++)
        e[half] = w->ops->known(w->store, half, device, &k[half]);
    if (e[STORE_RECOVERY] != ERR_OK && e[STORE_COMPLIANCE] != ERR_OK)
        return e[STORE_RECOVERY];
    if (e[STORE_RECOVERY] != ERR_OK || e[STORE_COMPLIANCE] != ERR_OK) {
        *ret = e[STORE_RECOVERY] == ERR_OK ? k[STORE_RECOVERY] : k[STORE_COMPLIANCE];
        return ERR_OK;
    }
    bool same = memcmp(k[0].incarnation, k[1].incarnation, 16) == 0;
    bool second = same ? k[1].sequence > k[0].sequence : k[1].received_us > k[0].received_us;
    *ret = k[second];
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
static void check_clone(struct batch *b, const struct msg_sync *m)
{
    struct store_record r;
    struct store_known before;
    if (m->n == 0 || read_record(m, 0, &r) != ERR_OK || known_of(b->w, m->device, &before) != ERR_OK ||
        memcmp(r.r.incarnation, before.incarnation, 16) == 0)
        return;
    if (has(b, &r.r, 0) && !has(b, &r.r, r.r.sequence))
        flag(b, "clone", &r);
}

static void check_gaps(struct batch *b, const struct pending *p, const struct msg_sync *m)
{
    for (unsigned i = 0; i < m->n; i++) {
        struct store_record r;
        if (read_record(m, i, &r) == ERR_OK && p->half_err[half_of(&r.r)] == ERR_OK && r.r.sequence > 1 &&
            !has(b, &r.r, r.r.sequence - 1))
            flag(b, "gap", &r);
    }
}

/* All records of one request and one half, or none of them. */
static void store_half(struct batch *b, struct pending *p, const struct msg_sync *m, enum store_half half)
{
    enum err e = ERR_OK;
    unsigned n = 0;
    bool marked =
        false; /* only what was marked for this request may be undone: the mark before is another's */
    for (unsigned i = 0; i < m->n && e == ERR_OK; i++) {
        struct store_record r;
        e = read_record(m, i, &r);
        if (e != ERR_OK || half_of(&r.r) != half)
            continue;
        if (!marked && (e = batch_need(b, half)) == ERR_OK) {
            e = b->w->ops->mark(b->w->store, half);
            marked = e == ERR_OK;
        }
        if (e == ERR_OK)
            e = put_record(b, p, &r);
        if (e == ERR_OK)
            memcpy(p->name[half][n++], r.name, 32);
    }
    if (marked && e == ERR_OK)
        e = b->w->ops->release(b->w->store, half);
    else if (marked)
        b->w->ops->undo(b->w->store, half);
    p->half_err[half] = e;
    p->n[half] = e == ERR_OK ? n : 0;
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

void writer_sync(struct batch *b, struct pending *p, const struct msg_sync *m)
{
    const char *detail = "";
    struct store_device d;
    p->err = check_request(b, m, &d, &detail);
    if (p->err != ERR_OK) {
        if (writer_may_log(m->device))
            slog(SLOG_ERROR, "sync", "refused=\"%s\" reason=\"%s\"", detail, err_text(p->err));
        snprintf(p->detail, sizeof p->detail, "%s", detail);
        return;
    }
    memcpy(p->device, m->device, 32);
    memcpy(p->envelopes, m->envelopes, sizeof p->envelopes);
    p->attempt = m->attempt;
    take_set(p, m);
    writer_take_proofs(b->w, p, m);
    renew(b, p, m, &d);
    check_clone(b, m);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        store_half(b, p, m, half);
    check_gaps(b, p, m);
    p->n_proofs = 0; /* they lie in the message */
    writer_seen(b->w, m);
}

static int by_name(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static enum err make_receipt(struct writer_state *w, struct pending *p, uint8_t *receipt, size_t *ret_len)
{
    uint8_t names[MSG_RECORDS][32];
    struct receipt r = {.class = RECEIPT_LOCAL,
                        .org = w->org.id,
                        .time = writer_now(),
                        .attempt = p->attempt,
                        .names = names[0]};
    unsigned n = 0;
    bool replicated = true;
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        replicated = replicated && (p->n[half] == 0 || p->replicated[half]);
        for (unsigned i = 0; i < p->n[half] && n < MSG_RECORDS; i++)
            memcpy(names[n++], p->name[half][i], 32);
    }
    r.class = replicated ? RECEIPT_REPLICATED : RECEIPT_LOCAL;
    if (n == 0) {
        *ret_len = 0;
        return ERR_OK;
    }
    qsort(names, n, 32, by_name);
    for (unsigned i = 0; i < n; i++)
        if (r.n == 0 || memcmp(names[r.n - 1], names[i], 32) != 0)
            memmove(names[r.n++], names[i], 32);
    memcpy(r.device, p->device, 32);
    memcpy(r.key, w->receipt_id, 32);
    metrics_add(METRIC_RECEIPTS + r.class - RECEIPT_LOCAL, 1);
    return receipt_encode(&r, w->receipt_key, receipt, ret_len);
}

/* After the commit: what came with this very request is not missing. There are few packages. */
static enum err find_missing_packages(struct writer_state *w, struct pending *p)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->n_package_set; i++) {
        bool here;
        TRY(w->ops->has_package(w->store, p->device, p->package_set[i], &here));
        if (!here)
            memmove(p->package_set[n++], p->package_set[i], 32);
    }
    p->n_package_set = n;
    return ERR_OK;
}

/* Most devices have no key packages: nothing is asked for them. */
static enum err compare_packages(struct writer_state *w, struct pending *p, struct msg_synced *ret)
{
    ret->packages_match = true;
    if (!p->has_packages)
        return ERR_OK;
    TRY(w->ops->packages(w->store, p->device, ret->packages));
    ret->packages_match = memcmp(ret->packages, p->packages, sizeof p->packages) == 0;
    TRY(find_missing_packages(w, p));
    ret->missing_packages = (struct msg_blob){p->package_set[0], 32 * (size_t)p->n_package_set};
    return ERR_OK;
}

enum err writer_synced(struct writer_state *w, struct pending *p, uint8_t *receipt, struct msg_synced *ret)
{
    struct store_known known;
    *ret = (struct msg_synced){0};
    for (unsigned half = 0; half < STORE_HALVES; half++)
        if (p->half_err[half] != ERR_OK)
            ret->incomplete = true;
    TRY(make_receipt(w, p, receipt, &ret->receipt.len));
    ret->receipt.p = receipt;
    enum err e = known_of(w, p->device, &known);
    if (e == ERR_OK) {
        ret->has_known = true;
        memcpy(ret->incarnation, known.incarnation, sizeof ret->incarnation);
        memcpy(ret->name, known.name, sizeof ret->name);
        ret->sequence = known.sequence;
    } else if (e != ERR_NOT_FOUND) {
        return e;
    }
    TRY(w->ops->digest(w->store, p->device, ret->digest));
    ret->match = memcmp(ret->digest, p->envelopes, sizeof p->envelopes) == 0;
    TRY(compare_packages(w, p, ret));
    TRY(w->ops->missing(w->store, p->device, p->set[0], p->n_set, p->set, &p->n_set));
    ret->missing = (struct msg_blob){p->set[0], 32 * (size_t)p->n_set};
    ret->certificate = (struct msg_blob){(const uint8_t *)p->certificate, strlen(p->certificate)};
    return w->ops->commands(w->store, p->device, MSG_COMMANDS, ret->command, &ret->n_commands);
}
