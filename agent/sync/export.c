/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync/export.h"
#include "agent/sync/identity.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "formats/outbox.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Static_assert(SYNC_SET_PAGE == OUTBOX_SET && MSG_LIST_MAX == OUTBOX_RECORDS && SYNC_PROOFS == OUTBOX_PROOFS,
               "one outbox is one sync");

struct export
{
    struct agent *a;
    struct outbox o;
    struct cache_record record[OUTBOX_RECORDS], proof[OUTBOX_PROOFS];
    uint8_t set[OUTBOX_SET][32];
    uint8_t bytes[OUTBOX_MAX];
    unsigned skip;                      /* records that are in the outboxes before */
    uint8_t envelope[32], package[32];  /* the last hash and the last name that are */
    bool has_envelope, has_package;     /* there was one */
    bool envelopes_done, packages_done; /* there are no more */
};

static struct outbox_bytes lend(struct msg_span s)
{
    return (struct outbox_bytes){s.p, s.len};
}

static enum err take_enrollment(struct outbox *o, const struct msg *m)
{
    TRY(cr_sha256(m->enroll_do.token.p, m->enroll_do.token.len, o->token));
    TRY(msg_text_copy(m->enroll_do.computer, o->computer, sizeof o->computer));
    if (m->enroll_do.signature.len != sizeof o->signature)
        return ERR_FORMAT;
    memcpy(o->signature, m->enroll_do.signature.p, sizeof o->signature);
    o->enrollment_time = m->enroll_do.time;
    o->csr = lend(m->enroll_do.csr);
    o->has_enrollment = true;
    return ERR_OK;
}

/* One number for all outboxes of an export: none of them has what another one says is receipted. */
static enum err number_export(struct export *x)
{
    struct outbox *o = &x->o;
    uint64_t attempt = 0;
    TRY(cache_next_attempt(x->a->cache, &attempt));
    TRY(cache_proofs(x->a->cache, o->device, x->proof, OUTBOX_PROOFS, &o->n_proofs));
    for (unsigned i = 0; i < o->n_proofs; i++)
        o->proof[i] = (struct outbox_bytes){x->proof[i].bytes, x->proof[i].len};
    o->attempt = (uint32_t)attempt; /* at most that: agent/cache_sql.h */
    return ERR_OK;
}

static enum err begin(struct export *x, const struct msg *enrollment)
{
    struct agent *a = x->a;
    size_t len = 0;
    struct outbox *o = &x->o;
    o->org = a->org->id;
    memcpy(o->device, a->key.id, sizeof o->device);
    memcpy(o->spki, a->key.spki, sizeof o->spki);
    o->time = (uint64_t)time(NULL);
    TRY(number_export(x));
    TRY(cache_envelopes_digest(a->cache, o->envelopes));
    enum err e = cache_get(a->cache, SYNC_AUDIT_HASH, o->audit_head, sizeof o->audit_head, &len);
    o->has_head = e == ERR_OK && len == sizeof o->audit_head;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    return enrollment ? take_enrollment(o, enrollment) : ERR_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

/* The next page of the hashes of envelopes, and behind the last of them the names of key packages. A server
 * names what it lacks of either; so those that wait in the outbox themselves are not among them. */
static enum err fill_set(struct export *x)
{
    unsigned n = 0, n_packages = 0;
    const uint8_t *device = x->a->key.id;
    if (!x->envelopes_done) {
        TRY(cache_envelope_page(x->a->cache, device, x->has_envelope ? x->envelope : NULL, OUTBOX_SET, x->set,
                                &n));
        x->envelopes_done = n < OUTBOX_SET;
        if (n > 0)
            memcpy(x->envelope, x->set[n - 1], sizeof x->envelope);
        x->has_envelope = x->has_envelope || n > 0;
    }
    if (x->envelopes_done && !x->packages_done) {
        TRY(cache_package_page(x->a->cache, device, x->has_package ? x->package : NULL, OUTBOX_SET - n,
                               x->set + n, &n_packages));
        x->packages_done = n_packages < OUTBOX_SET - n;
        if (n_packages > 0)
            memcpy(x->package, x->set[n + n_packages - 1], sizeof x->package);
        x->has_package = x->has_package || n_packages > 0;
    }
    n += n_packages;
    qsort(x->set, n, sizeof x->set[0], by_bytes);
    x->o.set = (struct outbox_bytes){x->set[0], 32 * (size_t)n};
    return ERR_OK;
}

/* The next page of each list. */
static enum err fill(struct export *x)
{
    TRY(fill_set(x));
    TRY(cache_outbox_from(x->a->cache, x->a->key.id, x->skip, x->record, OUTBOX_RECORDS, &x->o.n));
    for (unsigned i = 0; i < x->o.n; i++)
        x->o.record[i] = (struct outbox_bytes){x->record[i].bytes, x->record[i].len};
    return ERR_OK;
}

static enum err finish(struct export *x, enum err (*sink)(void *ctx, const uint8_t *p, size_t len), void *ctx)
{
    size_t len;
    enum err e = outbox_encode_unsigned(&x->o, x->bytes, &len);
    for (unsigned i = 0; i < x->o.n; i++)
        free(x->record[i].bytes);
    TRY(e);
    TRY(device_key_sign(&x->a->key, x->bytes, len, x->bytes + len));
    return sink(ctx, x->bytes, len + CR_P256_SIG);
}

static enum err run(struct export *x, enum err (*sink)(void *ctx, const uint8_t *p, size_t len), void *ctx,
                    struct export_totals *t)
{
    do {
        TRY(fill(x));
        TRY(finish(x, sink, ctx));
        x->skip += x->o.n;
        t->records += x->o.n;
        t->outboxes++;
        x->o.has_enrollment = false; /* once is enough */
        x->o.n_proofs = 0;           /* of records in the first */
    } while (x->o.n == OUTBOX_RECORDS || !x->packages_done);
    return ERR_OK;
}

enum err export_all(struct agent *a, const struct msg *enrollment,
                    enum err (*sink)(void *ctx, const uint8_t *p, size_t len), void *ctx,
                    struct export_totals *ret)
{
    struct export_totals totals = {0};
    struct export *x = calloc(1, sizeof *x);
    if (!x)
        return ERR_NOMEM;
    x->a = a;
    enum err e = identity_announce(a); /* what could not be signed when it was made goes along */
    if (e == ERR_OK)
        e = begin(x, enrollment);
    if (e == ERR_OK)
        e = run(x, sink, ctx, &totals);
    for (unsigned i = 0; i < OUTBOX_PROOFS; i++)
        free(x->proof[i].bytes);
    free(x);
    if (e == ERR_OK)
        *ret = totals;
    return e;
}
