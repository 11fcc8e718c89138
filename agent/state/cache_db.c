/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/cache_db.h"
#include <string.h>

enum err err_from_sqlite(int r)
{
    if (r == SQLITE_IOERR_NOMEM)
        return ERR_NOMEM;
    switch (r & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_FORMAT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return ERR_DENIED;
    case SQLITE_CONSTRAINT:
        return ERR_CONFLICT;
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
        return ERR_RANGE;
    case SQLITE_ERROR:
    case SQLITE_MISUSE:
        return ERR_INTERNAL;
    default:
        return ERR_IO;
    }
}

void cache_db_finalize(sqlite3_stmt **s)
{
    (void)sqlite3_finalize(*s); /* repeats the error of the last step, which was looked at there */
}

enum err cache_db_prepare(struct cache *c, const char *sql, sqlite3_stmt **ret)
{
    return err_from_sqlite(sqlite3_prepare_v2(c->db, sql, -1, ret, NULL));
}

void cache_db_blob(sqlite3_stmt *s, int i, const void *p, size_t len)
{
    /* a zero length with a NULL pointer would be bound as NULL */
    (void)sqlite3_bind_blob64(s, i, len ? p : "", len, SQLITE_STATIC);
}

void cache_db_text(sqlite3_stmt *s, int i, const char *text)
{
    (void)sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);
}

void cache_db_u64(sqlite3_stmt *s, int i, uint64_t v)
{
    /* a time that somebody made up must not become a negative one */
    (void)sqlite3_bind_int64(s, i, v > INT64_MAX ? INT64_MAX : (sqlite3_int64)v);
}

void cache_db_int(sqlite3_stmt *s, int i, int v)
{
    (void)sqlite3_bind_int(s, i, v);
}

enum err cache_db_step(sqlite3_stmt *s)
{
    int r = sqlite3_step(s);
    if (r == SQLITE_DONE)
        return ERR_NOT_FOUND;
    return err_from_sqlite(r);
}

enum err cache_db_run(sqlite3_stmt *s)
{
    enum err e = cache_db_step(s);
    return e == ERR_NOT_FOUND ? ERR_OK : e == ERR_OK ? ERR_INTERNAL : e;
}

enum err cache_db_get_blob(sqlite3_stmt *s, int col, void *ret, size_t cap, size_t *ret_len)
{
    const void *p = sqlite3_column_blob(s, col);
    size_t len = (size_t)sqlite3_column_bytes(s, col);
    if (len > cap)
        return ERR_RANGE;
    if (len)
        memcpy(ret, p, len);
    *ret_len = len;
    return ERR_OK;
}

enum err cache_db_get_fixed(sqlite3_stmt *s, int col, void *ret, size_t len)
{
    if ((size_t)sqlite3_column_bytes(s, col) != len)
        return ERR_FORMAT;
    size_t got;
    return cache_db_get_blob(s, col, ret, len, &got);
}

enum err cache_db_get_text(sqlite3_stmt *s, int col, char *ret, size_t cap)
{
    const unsigned char *p = sqlite3_column_text(s, col);
    size_t len = (size_t)sqlite3_column_bytes(s, col);
    if (!p || len >= cap)
        return ERR_FORMAT;
    memcpy(ret, p, len);
    ret[len] = 0;
    return ERR_OK;
}

uint64_t cache_db_get_u64(sqlite3_stmt *s, int col)
{
    return (uint64_t)sqlite3_column_int64(s, col);
}
