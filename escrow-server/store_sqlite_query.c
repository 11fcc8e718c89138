/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/slog.h"
#include "escrow-server/store_sqlite.h"
#include <stdio.h>
#include <string.h>

const char *const half_file[STORE_HALVES] = {"recovery.db", "compliance.db"};

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

enum err query_report(struct store *s, enum store_half half, const char *doing)
{
    int code = sqlite3_extended_errcode(s->db[half]);
    slog(SLOG_ERROR, "store", "file=%s doing=%s sqlite=%d reason=\"%s\"", half_file[half], doing, code,
         sqlite3_errmsg(s->db[half]));
    return from_sqlite(code);
}

void query_end(struct query *q)
{
    if (q->stmt == NULL)
        return;
    sqlite3_reset(q->stmt);
    sqlite3_clear_bindings(q->stmt);
}
void query_blob(struct query *q, const void *p, size_t len)
{
    sqlite3_bind_blob(q->stmt, q->at++, p, (int)len, SQLITE_STATIC);
}
void query_u64(struct query *q, uint64_t v)
{
    sqlite3_bind_int64(q->stmt, q->at++, (sqlite3_int64)v);
}
void query_text(struct query *q, const char *text)
{
    sqlite3_bind_text(q->stmt, q->at++, text, -1, SQLITE_TRANSIENT);
}
void query_guid(struct query *q, const struct guid *g)
{
    char text[GUID_TEXT];
    guid_encode(g, text);
    query_text(q, text);
}

enum err query_run(struct store *s, enum store_half half, struct query *q, const char *doing)
{
    int code = sqlite3_step(q->stmt);
    return code == SQLITE_DONE || code == SQLITE_ROW ? ERR_OK : query_report(s, half, doing);
}

enum err query_row(struct store *s, enum store_half half, struct query *q, const char *doing)
{
    switch (sqlite3_step(q->stmt)) {
    case SQLITE_ROW:
        return ERR_OK;
    case SQLITE_DONE:
        return ERR_NOT_FOUND;
    default:
        return query_report(s, half, doing);
    }
}

enum err column_blob(struct query *q, int column, uint8_t *ret, size_t len)
{
    const void *p = sqlite3_column_blob(q->stmt, column);
    if (p == NULL || (size_t)sqlite3_column_bytes(q->stmt, column) != len)
        return ERR_FORMAT;
    memcpy(ret, p, len);
    return ERR_OK;
}

void column_text(struct query *q, int column, char *ret, size_t cap)
{
    const unsigned char *text = sqlite3_column_text(q->stmt, column);
    snprintf(ret, cap, "%s", text == NULL ? "" : (const char *)text);
}

uint64_t column_u64(struct query *q, int column)
{
    return (uint64_t)sqlite3_column_int64(q->stmt, column);
}

/* The range of texts that begin with a prefix: [prefix, prefix with a character behind all of a GUID's). */
void query_prefix(struct query *q, const char *prefix)
{
    char end[GUID_TEXT + 1];
    snprintf(end, sizeof end, "%s~", prefix);
    query_text(q, prefix);
    query_text(q, end);
}
