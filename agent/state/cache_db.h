#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside agent/state/cache*.c only: one prepared statement, bound and run. */

#include "agent/state/cache.h"
#include <sqlite3.h>

struct cache {
    sqlite3 *db;
};

/* The one place where SQLite's results become ours. */
enum err err_from_sqlite(int r);

void cache_db_finalize(sqlite3_stmt **s);
#define STMT(name) __attribute__((cleanup(cache_db_finalize))) sqlite3_stmt *name = NULL

MUST_CHECK enum err cache_db_prepare(struct cache *c, const char *sql, sqlite3_stmt **ret);
/* Bind parameter i (from 1). A failure shows at cache_db_step(). */
void cache_db_blob(sqlite3_stmt *s, int i, const void *p, size_t len);
void cache_db_text(sqlite3_stmt *s, int i, const char *text);
void cache_db_int(sqlite3_stmt *s, int i, int v);
/* SQLite has no larger number than INT64_MAX: a larger v becomes that. */
void cache_db_u64(sqlite3_stmt *s, int i, uint64_t v);
/* The next row. err: NOT_FOUND (no more), FULL, IO */
MUST_CHECK enum err cache_db_step(sqlite3_stmt *s);
/* Run a statement that gives no rows. */
MUST_CHECK enum err cache_db_run(sqlite3_stmt *s);

/* Columns of the current row, from 0; the length must fit exactly, or at most cap. err: FORMAT */
MUST_CHECK enum err cache_db_get_fixed(sqlite3_stmt *s, int col, void *ret, size_t len);
MUST_CHECK enum err cache_db_get_blob(sqlite3_stmt *s, int col, void *ret, size_t cap, size_t *ret_len);
MUST_CHECK enum err cache_db_get_text(sqlite3_stmt *s, int col, char *ret, size_t cap);
uint64_t cache_db_get_u64(sqlite3_stmt *s, int col);
