/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file itself: opening, schema, transactions, small values. */
#include "agent/state/cache_db.h"
#include "agent/state/cache_sql.h"
#include "crypto/cursor.h"
#include "crypto/random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define N_MIGRATIONS (sizeof cache_migrations / sizeof cache_migrations[0])

static enum err exec(struct cache *c, const char *sql)
{
    return err_from_sqlite(sqlite3_exec(c->db, sql, NULL, NULL, NULL));
}

enum err cache_begin(struct cache *c)
{
    return exec(c, SQL_BEGIN);
}

enum err cache_commit(struct cache *c)
{
    enum err e = exec(c, SQL_COMMIT);
    if (e != ERR_OK)
        cache_rollback(c);
    return e;
}

void cache_rollback(struct cache *c)
{
    if (!sqlite3_get_autocommit(c->db) && exec(c, SQL_ROLLBACK) != ERR_OK)
        return; /* SQLite rolled back by itself */
}

enum err cache_end(struct cache *c, enum err so_far)
{
    if (so_far == ERR_OK)
        return cache_commit(c);
    cache_rollback(c);
    return so_far;
}

static enum err migrate_one(struct cache *c, unsigned version)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, SQL_VERSION_SET, version + 1);
    TRY(exec(c, cache_migrations[version]));
    return exec(c, sql);
}

static enum err migrate(struct cache *c)
{
    unsigned version;
    {
        STMT(s);
        TRY(cache_db_prepare(c, SQL_VERSION_GET, &s));
        TRY(cache_db_step(s));
        version = (unsigned)cache_db_get_u64(s, 0);
    }
    if (version > N_MIGRATIONS)
        return ERR_VERSION;
    for (; version < N_MIGRATIONS; version++) {
        TRY(cache_begin(c));
        enum err e = migrate_one(c, version);
        if (e != ERR_OK) {
            cache_rollback(c);
            return e;
        }
        TRY(cache_commit(c));
    }
    return ERR_OK;
}

static enum err check(struct cache *c)
{
    char verdict[64];
    STMT(s);
    TRY(cache_db_prepare(c, SQL_CHECK, &s));
    TRY(cache_db_step(s));
    TRY(cache_db_get_text(s, 0, verdict, sizeof verdict));
    return strcmp(verdict, "ok") == 0 ? ERR_OK : ERR_FORMAT;
}

/* A cache without an incarnation is new: its records start a chain of their own. */
static enum err first_incarnation(struct cache *c)
{
    uint8_t id[16];
    size_t len;
    enum err e = cache_get(c, "incarnation", id, sizeof id, &len);
    if (e != ERR_NOT_FOUND)
        return e;
    TRY(cr_random(id, sizeof id));
    return cache_set(c, "incarnation", id, sizeof id);
}

static enum err open_file(const char *path, struct cache *c)
{
    int r =
        sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (r != SQLITE_OK)
        return err_from_sqlite(r);
    (void)sqlite3_extended_result_codes(c->db, 1);
    TRY(exec(c, SQL_PRAGMAS));
    TRY(check(c));
    TRY(migrate(c));
    return first_incarnation(c);
}

/* Keep what is damaged for whoever wants to look; a new cache is rebuilt from the volumes' tokens. */
static enum err set_aside(const char *path)
{
    char to[PATH_MAX], log[PATH_MAX];
    if (snprintf(to, sizeof to, "%s.damaged-%lld", path, (long long)time(NULL)) >= (int)sizeof to ||
        snprintf(log, sizeof log, "%s-wal", path) >= (int)sizeof log)
        return ERR_RANGE;
    if (rename(path, to) < 0)
        return ERR_IO;
    (void)unlink(log); /* it belongs to the damaged file and must not be applied to a new one */
    return ERR_OK;
}

enum err cache_open(const char *path, struct cache **ret)
{
    struct cache *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    mode_t old = umask(0077);
    enum err e = open_file(path, c);
    if (e == ERR_FORMAT) {
        (void)sqlite3_close(c->db);
        c->db = NULL;
        e = set_aside(path);
        if (e == ERR_OK)
            e = open_file(path, c);
    }
    (void)umask(old);
    if (e != ERR_OK) {
        cache_close(c);
        return e;
    }
    *ret = c;
    return ERR_OK;
}

void cache_close(struct cache *c)
{
    if (!c)
        return;
    (void)sqlite3_close(c->db);
    free(c);
}

enum err cache_get(struct cache *c, const char *name, void *ret, size_t cap, size_t *ret_len)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_META_GET, &s));
    cache_db_text(s, 1, name);
    TRY(cache_db_step(s));
    return cache_db_get_blob(s, 0, ret, cap, ret_len);
}

enum err cache_set(struct cache *c, const char *name, const void *p, size_t len)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_META_SET, &s));
    cache_db_text(s, 1, name);
    cache_db_blob(s, 2, p, len);
    return cache_db_run(s);
}

enum err cache_unset(struct cache *c, const char *name)
{
    STMT(s);
    TRY(cache_db_prepare(c, SQL_META_UNSET, &s));
    cache_db_text(s, 1, name);
    return cache_db_run(s);
}

enum err cache_get_u64(struct cache *c, const char *name, uint64_t *ret)
{
    uint8_t b[8];
    size_t len;
    struct reader r;
    TRY(cache_get(c, name, b, sizeof b, &len));
    reader_init(&r, b, len);
    uint64_t v = reader_u64(&r);
    TRY(reader_end(&r));
    *ret = v;
    return ERR_OK;
}

enum err cache_set_u64(struct cache *c, const char *name, uint64_t v)
{
    uint8_t b[8];
    size_t len;
    struct writer w;
    writer_init(&w, b, sizeof b);
    writer_u64(&w, v);
    TRY(writer_end(&w, &len));
    return cache_set(c, name, b, len);
}
