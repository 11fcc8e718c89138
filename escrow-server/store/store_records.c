/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "escrow-server/store/store_db.h"
#include <stdlib.h>
#include <string.h>

static enum err lock_name(struct store *s, const struct store_record *r)
{
    QUERY(q, s, STORE_COMPLIANCE, SQL_RECORD_LOCK, "record-lock");
    query_blob(&q, r->name, sizeof r->name);
    query_u64(&q, r->received_us);
    return query_run(&q);
}

static void bind_record(struct query *q, const struct store_record *r)
{
    query_blob(q, r->name, sizeof r->name);
    query_blob(q, r->r.device, sizeof r->r.device);
    query_blob(q, r->r.incarnation, sizeof r->r.incarnation);
    query_u64(q, r->r.sequence);
    query_blob(q, r->r.previous, sizeof r->r.previous);
    query_u64(q, r->r.kind);
    query_u64(q, r->r.time);
    query_u64(q, r->received_us);
    query_blob(q, r->bytes, r->len);
}

enum err store_record_put(struct store *s, enum store_half half, const struct store_record *r, bool *ret_new)
{
    store_concerns(s, r->r.device);
    if (half == STORE_COMPLIANCE)
        TRY(lock_name(s, r));
    QUERY(q, s, half, SQL_RECORD_PUT, "record-put");
    bind_record(&q, r);
    uint64_t changed;
    TRY(query_changed(&q, &changed));
    *ret_new = changed == 1;
    return ERR_OK;
}

enum err store_envelope_put(struct store *s, const struct store_record *r, const struct envelope *e)
{
    uint8_t hash[32];
    store_concerns(s, r->r.device);
    TRY(cr_sha256(r->r.envelope, r->r.envelope_len, hash));
    QUERY(q, s, STORE_RECOVERY, SQL_ENVELOPE_PUT, "envelope-put");
    query_blob(&q, hash, sizeof hash);
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_blob(&q, r->name, sizeof r->name);
    query_guid(&q, &e->key_id);
    query_blob(&q, e->volume.bytes, 16);
    query_blob(&q, e->device, sizeof e->device);
    query_u64(&q, memcmp(e->device, r->r.device, 32) == 0);
    query_blob(&q, e->commitment, sizeof e->commitment);
    query_text(&q, r->r.computer);
    query_text(&q, r->r.label);
    query_u64(&q, e->time);
    query_u64(&q, r->received_us);
    query_blob(&q, r->r.envelope, r->r.envelope_len);
    return query_run(&q);
}

enum err store_event_put(struct store *s, const struct store_record *r)
{
    QUERY(q, s, STORE_COMPLIANCE, SQL_EVENT_PUT, "event-put");
    query_blob(&q, r->name, sizeof r->name);
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_u64(&q, r->r.event);
    query_guid(&q, &r->r.key_id);
    query_guid(&q, &r->r.other_key_id);
    query_blob(&q, r->r.volume.bytes, 16);
    query_u64(&q, r->r.result);
    query_u64(&q, r->r.reason);
    query_u64(&q, r->r.event_time);
    query_u64(&q, r->received_us);
    return query_run(&q);
}

unsigned store_room(const struct store *s, enum store_half half)
{
    struct db *d = s->db[half];
    return d->ops->post == NULL ? 0 : d->ops->room(d);
}

enum err store_post(struct store *s, enum store_half half, const struct store_record *r,
                    const struct envelope *e)
{
    if (store_room(s, half) == 0)
        return ERR_BUSY;
    store_concerns(s, r->r.device);
    if (e != NULL)
        TRY(store_envelope_put(s, r, e));
    if (half == STORE_COMPLIANCE) /* before anything that looks whether the record is there */
        TRY(lock_name(s, r));
    if (r->r.kind == RECORD_EVENT)
        TRY(store_event_put(s, r));
    QUERY(q, s, half, SQL_RECORD_POST, "record-post");
    bind_record(&q, r);
    return q.db->ops->post(q.db, &q);
}

enum err store_posted(struct store *s, enum store_half half, const struct store_record *r,
                      struct store_put *ret)
{
    QUERY(q, s, half, SQL_RECORD_POST, "record-posted");
    bool is_new;
    q.posted = true;
    query_blob(&q, r->name, sizeof r->name);
    TRY(query_any(&q, &is_new));
    ret->is_new = is_new;
    ret->fork = is_new && column_u64(&q, 0) != 0;
    return ERR_OK;
}

enum err store_forked(struct store *s, enum store_half half, const struct store_record *r, bool *ret)
{
    QUERY(q, s, half, SQL_FORKED, "forked");
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_blob(&q, r->r.incarnation, sizeof r->r.incarnation);
    query_u64(&q, r->r.sequence);
    query_blob(&q, r->name, sizeof r->name);
    query_blob(&q, r->r.previous, sizeof r->r.previous);
    return query_any(&q, ret);
}

enum err store_flag_put(struct store *s, const char *kind, const struct store_record *r)
{
    QUERY(q, s, STORE_RECOVERY, SQL_FLAG_PUT, "flag-put");
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_text(&q, kind);
    query_blob(&q, r->r.incarnation, sizeof r->r.incarnation);
    query_u64(&q, r->r.sequence);
    query_blob(&q, r->name, sizeof r->name);
    query_u64(&q, r->received_us);
    return query_run(&q);
}

enum err store_has_sequence(struct store *s, enum store_half half, const uint8_t device[static 32],
                            const uint8_t incarnation[static 16], uint64_t sequence, bool *ret)
{
    QUERY(q, s, half, SQL_HAS_SEQUENCE, "has-sequence");
    query_blob(&q, device, 32);
    query_blob(&q, incarnation, 16);
    query_u64(&q, sequence);
    return query_any(&q, ret);
}

static enum err known(struct store *s, enum store_half half, enum sql which, const uint8_t device[static 32],
                      struct store_known *ret)
{
    QUERY(q, s, half, which, "known");
    query_blob(&q, device, 32);
    TRY(query_row(&q));
    struct store_known k = {.sequence = column_u64(&q, 1), .received_us = column_u64(&q, 3)};
    TRY(column_blob(&q, 0, k.incarnation, sizeof k.incarnation));
    TRY(column_blob(&q, 2, k.name, sizeof k.name));
    *ret = k;
    return ERR_OK;
}

enum err store_known(struct store *s, enum store_half half, const uint8_t device[static 32],
                     struct store_known *ret)
{
    enum err e = known(s, half, SQL_KNOWN, device, ret);
    if (e != ERR_NOT_FOUND || half == STORE_RECOVERY) /* where nothing is taken away */
        return e;
    return known(s, half, SQL_KNOWN_FORGOTTEN, device, ret);
}

enum err store_missing(struct store *s, const uint8_t device[static 32], const uint8_t *hashes, unsigned n,
                       uint8_t (*ret)[32], unsigned *ret_n)
{
    uint8_t missing[MSG_SET][32];
    unsigned count = 0;
    enum err e = ERR_NOT_FOUND;
    if (n > MSG_SET)
        return ERR_RANGE;
    if (n > 0) {
        QUERY(q, s, STORE_RECOVERY, SQL_MISSING, "missing");
        query_blob(&q, hashes, 32 * (size_t)n);
        query_blob(&q, device, 32);
        while (count < n && (e = query_row(&q)) == ERR_OK)
            TRY(column_blob(&q, 0, missing[count++], 32));
    }
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    memcpy(ret, missing, 32 * (size_t)count);
    *ret_n = count;
    return ERR_OK;
}

enum err store_probe(struct store *s, enum store_half half, uint64_t now)
{
    QUERY(q, s, half, SQL_PROBE, "probe");
    query_u64(&q, now);
    return query_run(&q);
}

enum err store_has_package(struct store *s, const uint8_t device[static 32], const uint8_t name[static 32],
                           bool *ret)
{
    QUERY(q, s, STORE_RECOVERY, SQL_HAS_PACKAGE, "has-package");
    query_blob(&q, name, 32);
    query_blob(&q, device, 32);
    return query_any(&q, ret);
}

/* Hashes, 32 bytes each. */
struct hashes {
    uint8_t (*item)[32]; /* heap */
    size_t n, cap;
};

static void hashes_wipe(struct hashes *h)
{
    free(h->item);
}

static enum err hashes_add(struct hashes *h, const struct db_column *c)
{
    size_t n = c->len / 32;
    if (c->len % 32 != 0)
        return ERR_FORMAT;
    if (h->cap - h->n < n) {
        size_t cap = 2 * h->cap + n + 14;
        uint8_t(*more)[32] = reallocarray(h->item, cap, sizeof *more);
        if (more == NULL)
            return ERR_NOMEM;
        h->item = more;
        h->cap = cap;
    }
    if (n > 0)
        memcpy(h->item + h->n, c->p, c->len);
    h->n += n;
    return ERR_OK;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

/* Over the hashes that a query yields, sorted; a row has one of them, or several. Sorted here: SQLite would
 * set up a table for that, also for one of them. */
static enum err digest_of(struct query *q, uint8_t ret[static 32])
{
    __attribute__((cleanup(hashes_wipe))) struct hashes h = {.n = 0};
    enum err e;
    while ((e = query_row(q)) == ERR_OK) {
        struct db_column c;
        q->db->ops->column(q, 0, &c);
        TRY(hashes_add(&h, &c));
    }
    if (e != ERR_NOT_FOUND)
        return e;
    if (h.n > 1)
        qsort(h.item, h.n, sizeof h.item[0], by_bytes);
    return cr_sha256(h.item, 32 * h.n, ret);
}

enum err store_digest(struct store *s, const uint8_t device[static 32], uint8_t ret[static 32])
{
    QUERY(q, s, STORE_RECOVERY, SQL_DIGEST, "digest");
    query_blob(&q, device, 32);
    return digest_of(&q, ret);
}

enum err store_packages(struct store *s, const uint8_t device[static 32], uint8_t ret[static 32])
{
    QUERY(q, s, STORE_RECOVERY, SQL_PACKAGES, "packages");
    query_blob(&q, device, 32);
    return digest_of(&q, ret);
}
