/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of the cache: what is compared with a server, envelopes and key packages. */
#include "agent/state/cache_db.h"
#include "agent/state/cache_sql.h"
#include "crypto/hash.h"
#include <stdlib.h>
#include <string.h>

/* SHA-256 over the hashes that a statement yields. ret_n: how many */
static enum err digest_of(sqlite3_stmt *s, uint8_t ret[static 32], size_t *ret_n)
{
    uint8_t *all = NULL;
    size_t n = 0, cap = 0;
    enum err e;
    while ((e = cache_db_step(s)) == ERR_OK) {
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            uint8_t *more = reallocarray(all, cap, CR_SHA256_SIZE);
            e = more ? ERR_OK : ERR_NOMEM;
            all = more ? more : all;
        }
        if (e == ERR_OK)
            e = cache_db_get_fixed(s, 0, all + n * CR_SHA256_SIZE, CR_SHA256_SIZE);
        if (e != ERR_OK)
            break;
        n++;
    }
    if (e == ERR_NOT_FOUND)
        e = cr_sha256(all ? (const void *)all : "", n * CR_SHA256_SIZE, ret);
    free(all);
    *ret_n = n;
    return e;
}

enum err cache_envelopes_digest(struct cache *c, uint8_t ret[static 32])
{
    size_t n;
    STMT(s);
    TRY(cache_db_prepare(c, SQL_ENVELOPES, &s));
    return digest_of(s, ret, &n);
}

enum err cache_packages_digest(struct cache *c, const uint8_t device[static 32], uint8_t ret[static 32])
{
    uint8_t digest[32];
    size_t n = 0;
    STMT(s);
    TRY(cache_db_prepare(c, SQL_PACKAGES, &s));
    cache_db_blob(s, 1, device, 32);
    TRY(digest_of(s, digest, &n));
    if (n == 0)
        return ERR_NOT_FOUND;
    memcpy(ret, digest, sizeof digest);
    return ERR_OK;
}

static enum err page_of(struct cache *c, const char *sql, const uint8_t device[static 32],
                        const uint8_t *after, unsigned max, uint8_t (*ret)[32], unsigned *ret_n)
{
    unsigned n = 0;
    enum err e = ERR_NOT_FOUND;
    STMT(s);
    TRY(cache_db_prepare(c, sql, &s));
    cache_db_blob(s, 1, device, 32);
    cache_db_blob(s, 2, after, after ? 32 : 0);
    cache_db_u64(s, 3, max);
    while (n < max && (e = cache_db_step(s)) == ERR_OK)
        TRY(cache_db_get_fixed(s, 0, ret[n++], 32));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_n = n;
    return ERR_OK;
}

enum err cache_envelope_page(struct cache *c, const uint8_t device[static 32], const uint8_t *after,
                             unsigned max, uint8_t (*ret)[32], unsigned *ret_n)
{
    return page_of(c, SQL_ENVELOPE_PAGE, device, after, max, ret, ret_n);
}

enum err cache_package_page(struct cache *c, const uint8_t device[static 32], const uint8_t *after,
                            unsigned max, uint8_t (*ret)[32], unsigned *ret_n)
{
    return page_of(c, SQL_PACKAGE_PAGE, device, after, max, ret, ret_n);
}

static enum err resend(struct cache *c, const char *sql, const uint8_t device[static 32],
                       const uint8_t which[static 32], uint32_t attempt)
{
    STMT(s);
    TRY(cache_db_prepare(c, sql, &s));
    cache_db_blob(s, 1, device, 32);
    cache_db_blob(s, 2, which, 32);
    cache_db_u64(s, 3, attempt);
    return cache_db_run(s);
}

enum err cache_resend_envelope(struct cache *c, const uint8_t device[static 32],
                               const uint8_t hash[static 32], uint32_t attempt)
{
    return resend(c, SQL_RESEND_ENVELOPE, device, hash, attempt);
}

enum err cache_resend_package(struct cache *c, const uint8_t device[static 32], const uint8_t name[static 32],
                              uint32_t attempt)
{
    return resend(c, SQL_RESEND_PACKAGE, device, name, attempt);
}

enum err cache_next_package(struct cache *c, const uint8_t device[static 32], uint8_t name[static 32],
                            uint8_t *ret, size_t *ret_len)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_PACKAGE_NEXT, &s));
    cache_db_blob(s, 1, device, 32);
    cache_db_blob(s, 2, name, 32);
    TRY(cache_db_step(s));
    TRY(cache_db_get_blob(s, 1, ret, RECORD_MAX, ret_len));
    return cache_db_get_fixed(s, 0, name, 32);
}
