/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a device is told after the commit. */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/quiet.h"
#include "escrow-server/writer/writer.h"
#include "formats/receipt.h"
#include <stdlib.h>
#include <string.h>

enum err writer_known(struct writer_state *w, struct pending *p, struct store_known *ret)
{
    struct known_halves *k = &p->known;
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        if (!k->read[half])
            k->err[half] = w->ops->known(w->store, half, p->device, &k->of[half]);
        k->read[half] = k->err[half] == ERR_OK || k->err[half] == ERR_NOT_FOUND;
    }
    if (k->err[STORE_RECOVERY] != ERR_OK && k->err[STORE_COMPLIANCE] != ERR_OK)
        return k->err[STORE_RECOVERY];
    if (k->err[STORE_RECOVERY] != ERR_OK || k->err[STORE_COMPLIANCE] != ERR_OK) {
        *ret = k->of[k->err[STORE_RECOVERY] == ERR_OK ? STORE_RECOVERY : STORE_COMPLIANCE];
        return ERR_OK;
    }
    bool same = memcmp(k->of[0].incarnation, k->of[1].incarnation, 16) == 0;
    bool second = same ? k->of[1].sequence > k->of[0].sequence : k->of[1].received_us > k->of[0].received_us;
    *ret = k->of[second];
    return ERR_OK;
}

void writer_goes_on(struct known_halves *k, enum store_half half, const struct store_record *r)
{
    struct store_known *last = &k->of[half];
    bool first = k->err[half] == ERR_NOT_FOUND;
    if (first)
        *last = (struct store_known){.sequence = 0};
    k->read[half] = k->read[half] && r->r.sequence > last->sequence &&
                    (first || memcmp(last->incarnation, r->r.incarnation, sizeof last->incarnation) == 0);
    k->err[half] = ERR_OK;
    last->sequence = r->r.sequence;
    last->received_us = r->received_us;
    memcpy(last->incarnation, r->r.incarnation, sizeof last->incarnation);
    memcpy(last->name, r->name, sizeof last->name);
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

/* When the device comes next, and nothing has happened, what will it say, and be told nothing? */
static void note_quiet(const struct pending *p, const struct msg_synced *s)
{
    struct quiet q = {.has_packages = p->has_packages};
    bool whole = !s->incomplete && p->known.read[STORE_RECOVERY] && p->known.read[STORE_COMPLIANCE];
    bool nothing = s->has_known && s->match && s->packages_match && s->n_commands == 0 &&
                   s->certificate.len == 0 && s->missing.len == 0 && s->missing_packages.len == 0;
    if (!p->approved || !whole || !nothing)
        return;
    memcpy(q.device, p->device, sizeof q.device);
    memcpy(q.courier, p->courier, sizeof q.courier);
    memcpy(q.envelopes, s->digest, sizeof q.envelopes);
    memcpy(q.last, s->name, sizeof q.last);
    memcpy(q.packages, p->packages, sizeof q.packages);
    quiet_put(&q, p->drops);
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
    enum err e = writer_known(w, p, &known);
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
    TRY(w->ops->commands(w->store, p->device, MSG_COMMANDS, ret->command, &ret->n_commands));
    note_quiet(p, ret);
    return ERR_OK;
}
