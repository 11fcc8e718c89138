/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of the cache: volumes, envelopes, keys. */
#include "agent/state/cache_db.h"
#include "agent/state/cache_sql.h"
#include "crypto/hash.h"
#include "formats/receipt.h"
#include <stdlib.h>
#include <string.h>

#define VOLUMES_MORE 16 /* at a time */

enum err cache_put_volume(struct cache *c, const struct cache_volume *v)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_VOLUME_PUT, &s));
    cache_db_blob(s, 1, v->uuid.bytes, sizeof v->uuid.bytes);
    cache_db_text(s, 2, v->device);
    cache_db_text(s, 3, v->label);
    cache_db_u64(s, 4, v->state);
    cache_db_u64(s, 5, v->rotate);
    cache_db_text(s, 6, v->note);
    return cache_db_run(s);
}

static enum err volume_row(sqlite3_stmt *s, struct cache_volume *ret)
{
    TRY(cache_db_get_fixed(s, 0, ret->uuid.bytes, sizeof ret->uuid.bytes));
    TRY(cache_db_get_text(s, 1, ret->device, sizeof ret->device));
    TRY(cache_db_get_text(s, 2, ret->label, sizeof ret->label));
    ret->state = (uint8_t)cache_db_get_u64(s, 3);
    ret->rotate = (uint8_t)cache_db_get_u64(s, 4);
    return cache_db_get_text(s, 5, ret->note, sizeof ret->note);
}

enum err cache_get_volume(struct cache *c, const struct guid *uuid, struct cache_volume *ret)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_VOLUME_GET, &s));
    cache_db_blob(s, 1, uuid->bytes, sizeof uuid->bytes);
    TRY(cache_db_step(s));
    return volume_row(s, ret);
}

static enum err read_volumes(struct cache *c, struct cache_volume **list, unsigned *n)
{
    enum err e;
    STMT(s);
    TRY(cache_db_prepare(c, SQL_VOLUMES, &s));
    for (unsigned cap = 0; (e = cache_db_step(s)) == ERR_OK;) {
        if (*n == cap) {
            cap += VOLUMES_MORE;
            struct cache_volume *more = reallocarray(*list, cap, sizeof **list);
            if (!more)
                return ERR_NOMEM;
            *list = more;
        }
        TRY(volume_row(s, &(*list)[(*n)++]));
    }
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err cache_volumes(struct cache *c, struct cache_volume **ret, unsigned *ret_n)
{
    struct cache_volume *list = NULL;
    unsigned n = 0;
    enum err e = read_volumes(c, &list, &n);
    if (e != ERR_OK) {
        free(list);
        return e;
    }
    *ret = list;
    *ret_n = n;
    return ERR_OK;
}

enum err cache_put_envelope(struct cache *c, const struct guid *key_id, const uint8_t *p, size_t len)
{
    uint8_t hash[CR_SHA256_SIZE];
    TRY(cr_sha256(p, len, hash));
    STMT(s);
    TRY(cache_db_prepare(c, SQL_ENVELOPE_PUT, &s));
    cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
    cache_db_blob(s, 2, hash, sizeof hash);
    cache_db_blob(s, 3, p, len);
    return cache_db_run(s);
}

enum err cache_get_envelope(struct cache *c, const struct guid *key_id, uint8_t ret[static ENVELOPE_MAX],
                            size_t *ret_len)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_ENVELOPE_GET, &s));
    cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
    TRY(cache_db_step(s));
    return cache_db_get_blob(s, 0, ret, ENVELOPE_MAX, ret_len);
}

enum err cache_next_envelope(struct cache *c, struct guid *key_id, uint8_t ret[static ENVELOPE_MAX],
                             size_t *ret_len)
{
    uint8_t next[sizeof key_id->bytes];
    STMT(s);
    TRY(cache_db_prepare(c, SQL_ENVELOPE_NEXT, &s));
    cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
    TRY(cache_db_step(s));
    TRY(cache_db_get_fixed(s, 0, next, sizeof next));
    TRY(cache_db_get_blob(s, 1, ret, ENVELOPE_MAX, ret_len));
    memcpy(key_id->bytes, next, sizeof next);
    return ERR_OK;
}

enum err cache_put_key(struct cache *c, const struct cache_key *k)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_KEY_PUT, &s));
    cache_db_blob(s, 1, k->key_id.bytes, sizeof k->key_id.bytes);
    cache_db_blob(s, 2, k->volume.bytes, sizeof k->volume.bytes);
    cache_db_int(s, 3, k->slot);
    cache_db_u64(s, 4, k->count);
    cache_db_u64(s, 5, k->state);
    cache_db_blob(s, 6, k->fingerprint, sizeof k->fingerprint);
    cache_db_blob(s, 7, k->commitment, sizeof k->commitment);
    cache_db_u64(s, 8, k->verified);
    cache_db_u64(s, 9, k->made);
    cache_db_u64(s, 10, k->cause);
    cache_db_u64(s, 11, k->spent);
    return cache_db_run(s);
}

static enum err key_row(sqlite3_stmt *s, struct cache_key *ret)
{
    TRY(cache_db_get_fixed(s, 0, ret->key_id.bytes, sizeof ret->key_id.bytes));
    TRY(cache_db_get_fixed(s, 1, ret->volume.bytes, sizeof ret->volume.bytes));
    ret->slot = (int)(int64_t)cache_db_get_u64(s, 2);
    ret->count = (uint32_t)cache_db_get_u64(s, 3);
    ret->state = (uint8_t)cache_db_get_u64(s, 4);
    TRY(cache_db_get_fixed(s, 5, ret->fingerprint, sizeof ret->fingerprint));
    TRY(cache_db_get_fixed(s, 6, ret->commitment, sizeof ret->commitment));
    ret->verified = cache_db_get_u64(s, 7);
    ret->made = cache_db_get_u64(s, 8);
    ret->recorded = cache_db_get_u64(s, 9) != 0;
    ret->receipted = cache_db_get_u64(s, 10) != 0;
    ret->cause = (uint8_t)cache_db_get_u64(s, 11);
    ret->spent = (uint8_t)cache_db_get_u64(s, 12);
    ret->packed = ret->receipted && cache_db_get_u64(s, 13) == RECEIPT_PACKED;
    ret->ordered = cache_db_get_u64(s, 14);
    ret->known = cache_db_get_u64(s, 15);
    return ERR_OK;
}

enum err cache_get_key(struct cache *c, const struct guid *key_id, struct cache_key *ret)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_KEY_GET, &s));
    cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
    TRY(cache_db_step(s));
    return key_row(s, ret);
}

enum err cache_key_ordered(struct cache *c, const struct guid *key_id, uint64_t time)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_KEY_ORDERED, &s));
    cache_db_blob(s, 1, key_id->bytes, sizeof key_id->bytes);
    cache_db_u64(s, 2, time);
    return cache_db_run(s);
}

enum err cache_keys(struct cache *c, const struct guid *volume, struct cache_key *ret, unsigned *ret_n)
{
    unsigned n = 0;
    enum err e;
    STMT(s);
    TRY(cache_db_prepare(c, SQL_KEYS, &s));
    cache_db_blob(s, 1, volume->bytes, sizeof volume->bytes);
    cache_db_u64(s, 2, CACHE_KEYS);
    while (n < CACHE_KEYS && (e = cache_db_step(s)) != ERR_NOT_FOUND) {
        if (e != ERR_OK)
            return e;
        TRY(key_row(s, &ret[n++]));
    }
    *ret_n = n;
    return ERR_OK;
}

enum err cache_get_life(struct cache *c, const struct guid *uuid, struct cache_life *ret)
{
    struct cache_life l = {.uuid = *uuid};
    STMT(s);
    TRY(cache_db_prepare(c, SQL_LIFE_GET, &s));
    cache_db_blob(s, 1, uuid->bytes, sizeof uuid->bytes);
    TRY(cache_db_step(s));
    l.seqid = cache_db_get_u64(s, 0);
    l.checked = cache_db_get_u64(s, 1);
    l.management = (uint8_t)cache_db_get_u64(s, 2);
    l.is_exposed = cache_db_get_u64(s, 3) != 0;
    TRY(cache_db_get_fixed(s, 4, l.digest, sizeof l.digest));
    *ret = l;
    return ERR_OK;
}

enum err cache_put_life(struct cache *c, const struct cache_life *l)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_LIFE_PUT, &s));
    cache_db_blob(s, 1, l->uuid.bytes, sizeof l->uuid.bytes);
    cache_db_u64(s, 2, l->seqid);
    cache_db_u64(s, 3, l->checked);
    cache_db_u64(s, 4, l->management);
    cache_db_u64(s, 5, l->is_exposed);
    cache_db_blob(s, 6, l->digest, sizeof l->digest);
    return cache_db_run(s);
}

enum err cache_newest_key(struct cache *c, const struct guid *volume, uint64_t *ret)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_KEY_NEWEST, &s));
    cache_db_blob(s, 1, volume->bytes, sizeof volume->bytes);
    TRY(cache_db_step(s));
    *ret = cache_db_get_u64(s, 0);
    return ERR_OK;
}
