/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of the cache: what waits for the device key. */
#include "agent/state/cache_db.h"
#include "agent/state/cache_sql.h"
#include <string.h>

enum err cache_add_draft(struct cache *c, uint8_t kind, const uint8_t *bytes, size_t len,
                         const struct guid *key_id)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_DRAFT_ADD, &s));
    cache_db_u64(s, 1, kind);
    cache_db_blob(s, 2, bytes, len);
    if (key_id) /* else NULL */
        cache_db_blob(s, 3, key_id->bytes, sizeof key_id->bytes);
    return cache_db_run(s);
}

enum err cache_next_draft(struct cache *c, struct cache_draft *ret)
{
    STMT(s);
    size_t len;
    TRY(cache_db_prepare(c, SQL_DRAFT_NEXT, &s));
    TRY(cache_db_step(s));
    ret->id = (int64_t)cache_db_get_u64(s, 0);
    TRY(cache_db_get_blob(s, 1, ret->bytes, sizeof ret->bytes, &ret->len));
    TRY(cache_db_get_blob(s, 2, ret->key_id.bytes, sizeof ret->key_id.bytes, &len));
    ret->has_key = len == sizeof ret->key_id.bytes;
    return ERR_OK;
}

enum err cache_drop_draft(struct cache *c, int64_t id)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_DRAFT_DROP, &s));
    cache_db_u64(s, 1, (uint64_t)id);
    return cache_db_run(s);
}

enum err cache_clear_drafts(struct cache *c, uint8_t kind)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_DRAFT_CLEAR, &s));
    cache_db_u64(s, 1, kind);
    return cache_db_run(s);
}

enum err cache_drafts(struct cache *c, unsigned *ret)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_DRAFT_COUNT, &s));
    TRY(cache_db_step(s));
    *ret = (unsigned)cache_db_get_u64(s, 0);
    return ERR_OK;
}
