/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync/sync.h"
#include "agent/state/policy_store.h"
#include "agent/state/records.h"
#include "agent/sync/enrollment.h"
#include "agent/sync/sync_clock.h"
#include "agent/sync/sync_parts.h"
#include "agent/sync/sync_set.h"
#include "crypto/host/monotonic.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LAST_SYNC "last_sync"

static enum err optional(enum err e)
{
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* What only this identity can say: its sets, and its last record. An earlier one signs nothing any more. */
static enum err add_own(struct agent *a, struct sync_batch *b, struct msg *ret)
{
    unsigned n = 0;
    TRY(sync_set_page(a, SYNC_ENVELOPES, b->set[SYNC_ENVELOPES], &n));
    ret->sync_batch.set = (struct msg_span){b->set[SYNC_ENVELOPES][0], 32 * (size_t)n};
    enum err e = sync_set_digest(a, SYNC_PACKAGES, b->packages);
    if (e == ERR_OK) {
        TRY(sync_set_page(a, SYNC_PACKAGES, b->set[SYNC_PACKAGES], &n));
        ret->sync_batch.packages = (struct msg_span){b->packages, sizeof b->packages};
        ret->sync_batch.package_set = (struct msg_span){b->set[SYNC_PACKAGES][0], 32 * (size_t)n};
    }
    TRY(optional(e));
    e = sync_last(a, b->last);
    if (e == ERR_OK)
        ret->sync_batch.last = (struct msg_span){b->last, sizeof b->last};
    return optional(e);
}

/* A heartbeat gets no receipt, so it needs no number, and nothing is written for it. */
static enum err number_batch(struct agent *a, const uint8_t device[static 32], struct sync_batch *b,
                             uint64_t *ret)
{
    if (b->n == 0)
        return ERR_OK;
    TRY(cache_next_attempt(a->cache, ret));
    return cache_proofs(a->cache, device, b->proof, SYNC_PROOFS, &b->n_proofs);
}

enum err sync_batch_make(struct agent *a, const uint8_t device[static 32], struct sync_batch *b,
                         struct msg *ret)
{
    size_t head = 0;
    memset(b, 0, sizeof *b);
    memset(ret, 0, sizeof *ret);
    memcpy(b->device, device, sizeof b->device);
    TRY(sync_set_digest(a, SYNC_ENVELOPES, b->envelopes));
    TRY(optional(cache_get(a->cache, SYNC_AUDIT_HASH, b->audit_head, sizeof b->audit_head, &head)));
    for (unsigned i = 0; i < SYNC_SETS; i++)
        a->set_page[i].n = 0;
    if (memcmp(device, a->key.id, sizeof b->device) == 0)
        TRY(add_own(a, b, ret));
    TRY(cache_outbox(a->cache, device, b->record, MSG_LIST_MAX, &b->n));
    TRY(number_batch(a, device, b, &ret->sync_batch.attempt));
    ret->type = MSG_SYNC_BATCH;
    for (unsigned i = 0; i < a->org->n_servers; i++)
        ret->sync_batch.servers.item[ret->sync_batch.servers.n++] = msg_text(a->org->server[i]);
    ret->sync_batch.ca = msg_text(a->org->ca);
    ret->sync_batch.device = (struct msg_span){b->device, sizeof b->device};
    for (unsigned i = 0; i < b->n; i++)
        ret->sync_batch.records.item[ret->sync_batch.records.n++] =
            (struct msg_span){b->record[i].bytes, b->record[i].len};
    for (unsigned i = 0; i < b->n_proofs; i++)
        ret->sync_batch.proofs.item[ret->sync_batch.proofs.n++] =
            (struct msg_span){b->proof[i].bytes, b->proof[i].len};
    ret->sync_batch.envelopes = (struct msg_span){b->envelopes, sizeof b->envelopes};
    ret->sync_batch.audit_head = (struct msg_span){b->audit_head, head};
    ret->sync_batch.proxy = msg_text(a->conf.proxy);
    ret->sync_batch.no_proxy = msg_text(a->conf.no_proxy);
    ret->sync_batch.policy = a->policy.version;
    if (a->introduce && memcmp(device, a->key.id, sizeof b->device) == 0)
        ret->sync_batch.spki = (struct msg_span){a->key.spki, sizeof a->key.spki};
    return sync_audit_word(a, b, ret);
}

void sync_batch_wipe(struct sync_batch *b)
{
    for (unsigned i = 0; i < b->n; i++)
        free(b->record[i].bytes);
    for (unsigned i = 0; i < b->n_proofs; i++)
        free(b->proof[i].bytes);
    b->n = b->n_proofs = 0;
}

/* The organisation's certificate for the courier's own key, and nothing else, is handed on to it. The courier
 * gets it when it comes for the next batch, so that a crash in between loses nothing. */
static enum err take_certificate(struct agent *a, const struct msg *m, struct sync_outcome *o)
{
    const struct msg_span *pem = &m->sync_answer.certificate;
    uint8_t waiting[ENROLLMENT_PEM_MAX];
    size_t len;
    if (pem->len == 0)
        return ERR_OK;
    if (enrollment_certificate_check(a, *pem) != ERR_OK) {
        o->refused++;
        return ERR_OK;
    }
    /* one that waits already could not be kept just now: no hurry then */
    o->more = cache_get(a->cache, ENROLLMENT_CERTIFICATE, waiting, sizeof waiting, &len) == ERR_NOT_FOUND;
    return cache_set(a->cache, ENROLLMENT_CERTIFICATE, pem->p, pem->len);
}

/* Signed by the policy key or nothing. The disk may be full: then it comes again. */
static void take_policy(struct agent *a, const struct msg *m, struct sync_outcome *o)
{
    struct problem why;
    const struct msg_span *json = &m->sync_answer.policy, *sig = &m->sync_answer.policy_sig;
    if (json->len == 0 || policy_store_install(a, json->p, json->len, sig->p, sig->len, &why) == ERR_OK)
        return;
    agent_say(a, "%s", why.text);
    o->refused++;
}

static enum err take(struct agent *a, const struct msg *m, bool by_server, struct sync_outcome *ret)
{
    struct sync_outcome o = {0};
    for (unsigned i = 0; i < m->sync_answer.receipts.n; i++)
        TRY(sync_take_receipt(a, a->key.id, m->sync_answer.receipts.item[i], &o));
    for (unsigned i = 0; i < m->sync_answer.commands.n; i++)
        TRY(sync_take_command(a, m->sync_answer.commands.item[i], &o));
    TRY(sync_take_audit_head(a, m));
    TRY(sync_take_known(a, m, by_server));
    TRY(take_certificate(a, m, &o));
    take_policy(a, m, &o);
    TRY(sync_take_asked(a, m, &o));
    TRY(cache_outbox_count(a->cache, a->key.id, &o.waiting));
    *ret = o;
    return ERR_OK;
}

enum err sync_apply_carried(struct agent *a, const struct msg *m, struct sync_outcome *ret)
{
    return take(a, m, false, ret);
}

enum err sync_apply(struct agent *a, const struct msg *m, struct sync_outcome *ret)
{
    struct sync_outcome o = {0};
    unsigned escrows = 0, packages = 0;
    bool more = false, more_packages = false;
    TRY(take(a, m, true, &o));
    TRY(cache_outbox_escrows(a->cache, a->key.id, &escrows));
    TRY(sync_set_take(a, SYNC_ENVELOPES, m, escrows, &more));
    TRY(cache_outbox_packages(a->cache, a->key.id, &packages));
    TRY(sync_set_take(a, SYNC_PACKAGES, m, packages, &more_packages));
    TRY(sync_clock_take(a, m->sync_answer.time, (uint64_t)time(NULL), monotonic_ms()));
    TRY(cache_outbox_count(a->cache, a->key.id, &o.waiting)); /* what is sent again, too */
    o.more = o.more || more || more_packages;
    TRY(cache_set_u64(a->cache, LAST_SYNC, (uint64_t)time(NULL)));
    *ret = o;
    return ERR_OK;
}

enum err sync_apply_former(struct agent *a, const uint8_t device[static 32], const struct msg *m,
                           struct sync_outcome *ret)
{
    struct sync_outcome o = {0};
    for (unsigned i = 0; i < m->sync_answer.receipts.n; i++)
        TRY(sync_take_receipt(a, device, m->sync_answer.receipts.item[i], &o));
    TRY(cache_outbox_count(a->cache, device, &o.waiting));
    o.more = o.receipted > 0; /* the next ones, or our own turn */
    *ret = o;
    return ERR_OK;
}
