/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_sqlite.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/store/cwd_vfs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const store_sqlite_file[STORE_HALVES] = {"recovery.db", "compliance.db"};

static enum err from_sqlite(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return ERR_DENIED;
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
        return ERR_INTERNAL;
    default:
        return ERR_IO;
    }
}

enum err lite_report(struct lite *l, const char *doing)
{
    int code = sqlite3_extended_errcode(l->c);
    slog(SLOG_ERROR, "store", "file=%s doing=%s sqlite=%d reason=\"%s\"", store_sqlite_file[l->db.half],
         doing, code, sqlite3_errmsg(l->c));
    if (l->begun && l->why == ERR_OK)
        l->why = from_sqlite(code);
    return from_sqlite(code);
}

/* Opening. */

enum err lite_exec(struct lite *l, const char *sql, const char *doing)
{
    return sqlite3_exec(l->c, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR_OK : lite_report(l, doing);
}

static enum err prepare(struct lite *l)
{
    for (unsigned i = 0; i < SQL_COUNT; i++) {
        if ((sql_sqlite[i].halves & (1u << l->db.half)) == 0)
            continue;
        if (sqlite3_prepare_v3(l->c, sql_sqlite[i].text, -1, SQLITE_PREPARE_PERSISTENT, &l->stmt[i], NULL) !=
            SQLITE_OK)
            return lite_report(l, "prepare");
    }
    return ERR_OK;
}

static enum err open_file(struct lite *l, const struct store_place *place)
{
    const char *dir = place->dir;
    bool reads = place->reads;
    char path[4096];
    const char *file = store_sqlite_file[l->db.half];
    int flags =
        SQLITE_OPEN_NOMUTEX | (reads ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    bool here = dir != NULL && strcmp(dir, ".") == 0;
    int n = dir == NULL ? snprintf(path, sizeof path, ":memory:")
            : here      ? snprintf(path, sizeof path, "%s", file)
                        : snprintf(path, sizeof path, "%s/%s", dir, file);
    if (n < 0 || (size_t)n >= sizeof path)
        return ERR_RANGE;
    if (sqlite3_open_v2(path, &l->c, flags, here ? cwd_vfs() : NULL) != SQLITE_OK)
        return l->c != NULL ? lite_report(l, "open") : ERR_NOMEM;
    TRY(lite_exec(l, reads ? sql_sqlite_read : sql_sqlite_open, "open"));
    TRY(reads || place->as_is ? lite_check_version(l) : lite_migrate(l, place));
    return prepare(l);
}

static void close_lite(struct db *d)
{
    struct lite *l = lite_of(d);
    for (unsigned i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(l->stmt[i]);
    sqlite3_close(l->c);
    free(l);
}

/* Statements. */

static enum err prepare_one(struct db *d, enum sql which, const char *text)
{
    struct lite *l = lite_of(d);
    sqlite3_finalize(l->stmt[which]);
    l->stmt[which] = NULL;
    return sqlite3_prepare_v2(l->c, text, -1, &l->stmt[which], NULL) == SQLITE_OK ? ERR_OK
                                                                                  : lite_report(l, "prepare");
}

static void bind(sqlite3_stmt *stmt, const struct query *q)
{
    for (int i = 0; i < (int)q->n; i++) {
        const struct query_param *p = &q->param[i];
        switch (p->kind) { /* fails only without memory; the step then reports it */
        case QUERY_NULL:
            sqlite3_bind_null(stmt, i + 1);
            break;
        case QUERY_BLOB:
            sqlite3_bind_blob(stmt, i + 1, p->p, (int)p->len, SQLITE_STATIC);
            break;
        case QUERY_STRING:
            sqlite3_bind_text(stmt, i + 1, p->p, (int)p->len, SQLITE_STATIC);
            break;
        case QUERY_U64:
            sqlite3_bind_int64(stmt, i + 1, (sqlite3_int64)p->number);
            break;
        }
    }
}

static int step(struct query *q)
{
    sqlite3_stmt *stmt = lite_of(q->db)->stmt[q->which];
    if (!q->sent)
        bind(stmt, q);
    q->sent = true;
    return sqlite3_step(stmt);
}

enum err lite_run(struct query *q, uint64_t *ret_changed)
{
    struct lite *l = lite_of(q->db);
    if (l->stmt[q->which] == NULL) { /* the dialect can do without it */
        if (ret_changed != NULL)
            *ret_changed = 0;
        return ERR_OK;
    }
    TRY(lite_gone(l));
    int code = step(q);
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        return lite_report(l, q->doing);
    if (ret_changed != NULL)
        *ret_changed = (uint64_t)sqlite3_changes(l->c);
    return ERR_OK;
}

static int tend(struct db *d)
{
    lite_end_look(lite_of(d));
    return -1;
}

static enum err row(struct query *q)
{
    TRY(lite_gone(lite_of(q->db)));
    if (!q->sent)
        TRY(lite_look(lite_of(q->db)));
    switch (step(q)) {
    case SQLITE_ROW:
        return ERR_OK;
    case SQLITE_DONE:
        return ERR_NOT_FOUND;
    default:
        return lite_report(lite_of(q->db), q->doing);
    }
}

static void column(const struct query *q, int i, struct db_column *ret)
{
    sqlite3_stmt *stmt = lite_of(q->db)->stmt[q->which];
    *ret = (struct db_column){.p = NULL};
    ret->null = sqlite3_column_type(stmt, i) == SQLITE_NULL;
    if (sqlite3_column_type(stmt, i) == SQLITE_INTEGER) {
        ret->number = (uint64_t)sqlite3_column_int64(stmt, i);
        return;
    }
    ret->p = sqlite3_column_blob(stmt, i); /* of a text: its bytes */
    ret->len = (size_t)sqlite3_column_bytes(stmt, i);
}

static void end(struct query *q)
{
    sqlite3_stmt *stmt = lite_of(q->db)->stmt[q->which];
    if (!q->sent || stmt == NULL)
        return;
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

static const struct db_ops sqlite_ops = {
    .numbered = true,
    .close = close_lite,
    .tend = tend,
    .begin = lite_begin,
    .commit = lite_commit,
    .abandon = lite_abandon,
    .mark = lite_mark,
    .undo = lite_undo,
    .release = lite_release,
    .prepare = prepare_one,
    .run = lite_run,
    .row = row,
    .column = column,
    .end = end,
};

enum err store_sqlite_open(const struct store_place *place, enum store_half half, struct db **ret)
{
    struct lite *l = calloc(1, sizeof *l);
    if (l == NULL)
        return ERR_NOMEM;
    l->db = (struct db){&sqlite_ops, half};
    enum err e = open_file(l, place);
    if (e != ERR_OK) {
        close_lite(&l->db);
        return e;
    }
    *ret = &l->db;
    return ERR_OK;
}
