/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "escrow-server/pki.h"
#include "escrow-server/process/quiet.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include "formats/base.h"
#include "formats/key_package.h"
#include <stdio.h>
#include <string.h>

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

static void note_seen(struct batch *b, const struct msg_sync *m)
{
    struct msg_seen_one one = {.time = writer_now(), .has_head = m->has_head};
    memcpy(one.device, m->device, sizeof one.device);
    memcpy(one.audit_head, m->audit_head, sizeof one.audit_head);
    writer_seen(b, &one);
}

/* What is the device's own fault is told it by the web worker, whose line knows its address, too; one here
 * would take that line's place (metrics_may_log). */
static void log_failure(const struct pending *p, const struct msg_sync *m)
{
    char device[BASE16_LEN(32) + 1];
    if (p->err == ERR_AUTH || p->err == ERR_UNSUPPORTED || !writer_may_log(m->device))
        return;
    base16_encode(m->device, 32, device);
    slog(SLOG_ERROR, "sync", "device=%s refused=\"%s\" reason=\"%s\"", device, p->detail, err_text(p->err));
}

void writer_sync(struct batch *b, struct pending *p, const struct msg_sync *m)
{
    static struct store_record records[MSG_RECORDS]; /* in one thread */
    static struct store_put puts[MSG_RECORDS];
    struct taken taken = {.r = records, .put = puts};
    struct store_device d;
    p->err = check_request(b, m, &d, &taken, p->detail);
    if (p->err != ERR_OK)
        return log_failure(p, m);
    memcpy(p->device, m->device, 32);
    memcpy(p->courier, d.courier, sizeof p->courier);
    p->approved = d.approved == DEVICE_APPROVED;
    memcpy(p->envelopes, m->envelopes, sizeof p->envelopes);
    p->attempt = m->attempt;
    take_set(p, m);
    writer_take_proofs(b->w, p, m);
    renew(b, p, m, &d);
    writer_store(b, p, &taken);
    p->n_proofs = 0; /* they lie in the message */
    note_seen(b, m);
}
