/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/cwd_vfs.h"
#include "escrow-server/slog.h"
#include "escrow-server/store_sqlite.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err exec(struct store *s, enum store_half half, const char *sql, const char *doing)
{
    return sqlite3_exec(s->db[half], sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK
                                                                         : query_report(s, half, doing);
}

static enum err schema_version(struct store *s, enum store_half half, int *ret)
{
    __attribute__((cleanup(query_end))) struct query q = {0};
    if (sqlite3_prepare_v2(s->db[half], "PRAGMA user_version", -1, &q.stmt, NULL) != SQLITE_OK)
        return query_report(s, half, "read-version");
    enum err e = query_row(s, half, &q, "read-version");
    if (e == ERR_OK)
        *ret = sqlite3_column_int(q.stmt, 0);
    sqlite3_finalize(q.stmt);
    q.stmt = NULL;
    return e;
}

static enum err migrate(struct store *s, enum store_half half)
{
    int version = 0;
    TRY(schema_version(s, half, &version));
    if (version > SQL_SCHEMA_VERSION) {
        slog(SLOG_ERROR, "store", "file=%s reason=\"made by a newer keyholt-server (schema %d, known %d)\"",
             half_file[half], version, SQL_SCHEMA_VERSION);
        return ERR_VERSION;
    }
    for (; version < SQL_SCHEMA_VERSION; version++) {
        char pragma[48];
        snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", version + 1);
        TRY(exec(s, half, "BEGIN EXCLUSIVE", "migrate"));
        if (exec(s, half, sql_schema[half][version], "migrate") != ERR_OK ||
            exec(s, half, pragma, "migrate") != ERR_OK) {
            (void)exec(s, half, "ROLLBACK", "migrate");
            return ERR_IO;
        }
        TRY(exec(s, half, "COMMIT", "migrate"));
    }
    return ERR_OK;
}

static enum err prepare(struct store *s, enum store_half half)
{
    for (unsigned i = 0; i < SQL_COUNT; i++) {
        if ((sql_statements[i].halves & (1u << half)) == 0)
            continue;
        if (sqlite3_prepare_v3(s->db[half], sql_statements[i].text, -1, SQLITE_PREPARE_PERSISTENT,
                               &s->stmt[half][i], NULL) != SQLITE_OK)
            return query_report(s, half, "prepare");
    }
    return ERR_OK;
}

static enum err open_half(struct store *s, const char *dir, enum store_half half)
{
    char path[4096];
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    bool here = dir != NULL && strcmp(dir, ".") == 0;
    int n = dir == NULL ? snprintf(path, sizeof path, ":memory:")
            : here      ? snprintf(path, sizeof path, "%s", half_file[half])
                        : snprintf(path, sizeof path, "%s/%s", dir, half_file[half]);
    if (n < 0 || (size_t)n >= sizeof path)
        return ERR_RANGE;
    if (sqlite3_open_v2(path, &s->db[half], flags, here ? cwd_vfs() : NULL) != SQLITE_OK)
        return s->db[half] != NULL ? query_report(s, half, "open") : ERR_NOMEM;
    TRY(exec(s, half, sql_open, "open"));
    TRY(migrate(s, half));
    return prepare(s, half);
}

void store_sqlite_close(struct store *s)
{
    if (s == NULL)
        return;
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        for (unsigned i = 0; i < SQL_COUNT; i++)
            sqlite3_finalize(s->stmt[half][i]);
        sqlite3_close(s->db[half]);
    }
    free(s);
}

enum err store_sqlite_open(const char *dir, struct store **ret)
{
    struct store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return ERR_NOMEM;
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        enum err e = open_half(s, dir, half);
        if (e != ERR_OK) {
            store_sqlite_close(s);
            return e;
        }
    }
    *ret = s;
    return ERR_OK;
}

static enum err plain(struct store *s, enum store_half half, enum sql which, const char *doing)
{
    QUERY(q, s, half, which);
    return query_run(s, half, &q, doing);
}

enum err store_sqlite_begin(struct store *s, enum store_half half)
{
    return plain(s, half, SQL_BEGIN, "begin");
}

void store_sqlite_abandon(struct store *s, enum store_half half)
{
    if (!sqlite3_get_autocommit(s->db[half]))
        (void)plain(s, half, SQL_ROLLBACK, "rollback");
}

enum err store_sqlite_commit(struct store *s, enum store_half half)
{
    /* SQLite rolls back by itself on some errors; a COMMIT of nothing must not pass for success. */
    if (sqlite3_get_autocommit(s->db[half]))
        return ERR_IO;
    enum err e = plain(s, half, SQL_COMMIT, "commit");
    if (e != ERR_OK)
        store_sqlite_abandon(s, half);
    return e;
}

enum err store_sqlite_mark(struct store *s, enum store_half half)
{
    return sqlite3_get_autocommit(s->db[half]) ? ERR_IO : plain(s, half, SQL_MARK, "mark");
}

void store_sqlite_undo(struct store *s, enum store_half half)
{
    if (sqlite3_get_autocommit(s->db[half]))
        return; /* all is gone already, and commit will say so */
    /* What cannot be undone must not be committed either. */
    if (plain(s, half, SQL_UNDO, "undo") != ERR_OK || store_sqlite_release(s, half) != ERR_OK)
        store_sqlite_abandon(s, half);
}

enum err store_sqlite_release(struct store *s, enum store_half half)
{
    return sqlite3_get_autocommit(s->db[half]) ? ERR_IO : plain(s, half, SQL_RELEASE, "release");
}
