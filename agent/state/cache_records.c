/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of the cache: records, the outbox, receipts, rotations. */
#include "agent/state/cache_db.h"
#include "agent/state/cache_sql.h"
#include <stdlib.h>
#include <string.h>

static enum err link_escrow(struct cache *c, const struct guid *key_id, const uint8_t name[static 32])
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_ENVELOPE_REC, &s));
    cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
    cache_db_blob(s, 2, name, 32);
    return cache_db_run(s);
}

enum err cache_add_record(struct cache *c, uint8_t kind, const uint8_t name[static 32], const uint8_t *bytes,
                          size_t len, const struct guid *key_id)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_RECORD_ADD, &s));
    cache_db_blob(s, 1, name, 32);
    cache_db_u64(s, 2, kind);
    cache_db_blob(s, 3, bytes, len);
    TRY(cache_db_run(s));
    return key_id ? link_escrow(c, key_id, name) : ERR_OK;
}

enum err cache_find_record(struct cache *c, const uint8_t begin[static 8])
{
    uint8_t first[32], last[32];
    STMT(s);
    memset(first, 0, sizeof first);
    memset(last, 0xff, sizeof last);
    memcpy(first, begin, 8);
    memcpy(last, begin, 8);
    TRY(cache_db_prepare(c, SQL_RECORD_FIND, &s));
    cache_db_blob(s, 1, first, sizeof first);
    cache_db_blob(s, 2, last, sizeof last);
    return cache_db_step(s);
}

static enum err record_row(sqlite3_stmt *s, struct cache_record *ret)
{
    uint8_t *p = malloc(RECORD_MAX);
    if (!p)
        return ERR_NOMEM;
    enum err e = cache_db_get_fixed(s, 0, ret->name, sizeof ret->name);
    if (e == ERR_OK)
        e = cache_db_get_blob(s, 1, p, RECORD_MAX, &ret->len);
    if (e != ERR_OK) {
        free(p);
        return e;
    }
    ret->bytes = p;
    return ERR_OK;
}

enum err cache_outbox(struct cache *c, const uint8_t device[static 32], struct cache_record *ret,
                      unsigned max, unsigned *ret_n)
{
    return cache_outbox_from(c, device, 0, ret, max, ret_n);
}

enum err cache_outbox_from(struct cache *c, const uint8_t device[static 32], unsigned skip,
                           struct cache_record *ret, unsigned max, unsigned *ret_n)
{
    unsigned n = 0;
    enum err e;
    STMT(s);
    TRY(cache_db_prepare(c, SQL_OUTBOX, &s));
    cache_db_u64(s, 1, max);
    cache_db_blob(s, 2, device, 32);
    cache_db_u64(s, 3, skip);
    while (n < max && (e = cache_db_step(s)) != ERR_NOT_FOUND) {
        if (e == ERR_OK)
            e = record_row(s, &ret[n]);
        if (e != ERR_OK) {
            while (n)
                free(ret[--n].bytes);
            return e;
        }
        n++;
    }
    *ret_n = n;
    return ERR_OK;
}

static enum err count_of(struct cache *c, const char *sql, const uint8_t device[static 32], unsigned *ret)
{
    STMT(s);
    TRY(cache_db_prepare(c, sql, &s));
    cache_db_blob(s, 1, device, 32);
    TRY(cache_db_step(s));
    *ret = (unsigned)cache_db_get_u64(s, 0);
    return ERR_OK;
}

enum err cache_outbox_count(struct cache *c, const uint8_t device[static 32], unsigned *ret)
{
    return count_of(c, SQL_OUTBOX_COUNT, device, ret);
}

enum err cache_outbox_others(struct cache *c, const uint8_t device[static 32], unsigned *ret)
{
    return count_of(c, SQL_OUTBOX_OTHER, device, ret);
}

enum err cache_outbox_packages(struct cache *c, const uint8_t device[static 32], unsigned *ret)
{
    return count_of(c, SQL_OUTBOX_PACKAGES, device, ret);
}

enum err cache_outbox_escrows(struct cache *c, const uint8_t device[static 32], unsigned *ret)
{
    return count_of(c, SQL_OUTBOX_ESCROWS, device, ret);
}

/* The receipt that was put last. */
struct newest {
    uint64_t id, time;
    uint8_t class;
    uint32_t attempt;
};

/* The server that had it first knew it first; one whose clock was ahead says an earlier time later. */
static enum err note_known(struct cache *c, const uint8_t *name, uint64_t time)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_KEY_KNOWN, &s));
    cache_db_blob(s, 1, name, 32);
    cache_db_u64(s, 2, time);
    return cache_db_run(s);
}

static enum err mark_receipted(struct cache *c, const uint8_t *name, const struct newest *r, unsigned *n)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_RECEIPTED, &s));
    cache_db_blob(s, 1, name, 32);
    cache_db_u64(s, 2, r->id);
    cache_db_u64(s, 3, r->time);
    cache_db_u64(s, 4, r->class);
    cache_db_u64(s, 5, r->attempt);
    TRY(cache_db_run(s));
    *n += (unsigned)sqlite3_changes(c->db);
    return note_known(c, name, r->time);
}

static enum err prune_receipts(struct cache *c)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_RECEIPTS_PRUNE, &s));
    return cache_db_run(s);
}

static enum err put_receipt(struct cache *c, const uint8_t *bytes, size_t len)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_RECEIPT_ADD, &s));
    cache_db_blob(s, 1, bytes, len);
    return cache_db_run(s);
}

static enum err settle(struct cache *c, struct newest *r, const uint8_t *names, unsigned n, unsigned *settled)
{
    r->id = (uint64_t)sqlite3_last_insert_rowid(c->db);
    for (unsigned i = 0; i < n; i++)
        TRY(mark_receipted(c, names + 32 * (size_t)i, r, settled));
    return prune_receipts(c); /* one that covers nothing of ours, or nothing any more */
}

enum err cache_add_receipt(struct cache *c, const uint8_t *bytes, size_t len, const struct receipt *of,
                           unsigned *ret_n)
{
    struct newest r = {.time = of->time, .class = of->class, .attempt = of->attempt};
    unsigned settled = 0;
    TRY(cache_begin(c));
    enum err e = put_receipt(c, bytes, len);
    if (e == ERR_OK)
        e = settle(c, &r, of->names, of->n, &settled);
    e = cache_end(c, e);
    if (e == ERR_OK)
        *ret_n = settled;
    return e;
}

enum err cache_next_attempt(struct cache *c, uint64_t *ret)
{
    {
        STMT(s);
        TRY(cache_db_prepare(c, SQL_ATTEMPT_NEXT, &s));
        TRY(cache_db_run(s));
    }
    STMT(s);
    TRY(cache_db_prepare(c, SQL_ATTEMPT_GET, &s));
    TRY(cache_db_step(s));
    *ret = cache_db_get_u64(s, 0);
    return ERR_OK;
}

enum err cache_proofs(struct cache *c, const uint8_t device[static 32], struct cache_record *ret,
                      unsigned max, unsigned *ret_n)
{
    unsigned n = 0;
    enum err e = ERR_NOT_FOUND;
    STMT(s);
    TRY(cache_db_prepare(c, SQL_PROOFS, &s));
    cache_db_blob(s, 1, device, 32);
    cache_db_u64(s, 2, max);
    while (n < max && (e = cache_db_step(s)) == ERR_OK) {
        uint8_t *p = malloc(RECEIPT_MAX);
        e = p ? cache_db_get_blob(s, 0, p, RECEIPT_MAX, &ret[n].len) : ERR_NOMEM;
        if (e != ERR_OK) {
            free(p);
            break;
        }
        ret[n++].bytes = p;
    }
    if (e == ERR_OK || e == ERR_NOT_FOUND) {
        *ret_n = n;
        return ERR_OK;
    }
    while (n)
        free(ret[--n].bytes);
    return e;
}

enum err cache_resend_escrows(struct cache *c, const uint8_t device[static 32])
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_RESEND, &s));
    cache_db_blob(s, 1, device, 32);
    return cache_db_run(s);
}

static enum err tie(struct cache *c, const char *sql, const struct guid *key_id,
                    const uint8_t name[static 32])
{
    STMT(s);
    TRY(cache_db_prepare(c, sql, &s));
    cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
    cache_db_blob(s, 2, name, 32);
    return cache_db_run(s);
}

enum err cache_put_rotation(struct cache *c, const struct guid *key_id, const uint8_t name[static 32])
{
    TRY(tie(c, SQL_ROTATION_PUT, key_id, name));
    return tie(c, SQL_ROTATION_OF, key_id, name);
}

enum err cache_clear_rotations(struct cache *c)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_ROTATION_CLEAR, &s));
    return cache_db_run(s);
}

static enum err resend_one(struct cache *c, const uint8_t name[static 32])
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_RESEND_ONE, &s));
    cache_db_blob(s, 1, name, 32);
    return cache_db_run(s);
}

enum err cache_resend_rotation(struct cache *c, const struct guid *key_id)
{
    uint8_t name[32];
    {
        STMT(s);
        TRY(cache_db_prepare(c, SQL_ROTATION_GET, &s));
        cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
        TRY(cache_db_step(s));
        TRY(cache_db_get_fixed(s, 0, name, sizeof name));
    }
    return resend_one(c, name);
}

enum err cache_rotation_record(struct cache *c, const struct guid *key_id, uint8_t *ret, size_t *ret_len)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_ROTATION_BYTES, &s));
    cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
    TRY(cache_db_step(s));
    return cache_db_get_blob(s, 0, ret, RECORD_MAX, ret_len);
}
