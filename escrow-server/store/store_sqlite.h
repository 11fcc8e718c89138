#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite behind store_db.h: what its parts share. store_sqlite.c opens files and runs statements,
 * store_sqlite_tx.c has transactions. */

#include "escrow-server/store/store_db.h"
#include <sqlite3.h>

struct lite {
    struct db db; /* first */
    sqlite3 *c;
    sqlite3_stmt *stmt[SQL_COUNT];
    bool looking; /* in a transaction of our own that only reads */
};

static inline struct lite *lite_of(struct db *d)
{
    return (struct lite *)d;
}

/* As run() in struct db_ops. */
MUST_CHECK enum err lite_run(struct query *q, uint64_t *ret_changed);
/* Looks between two waits are one reading transaction: each by itself would lock the file and unlock it. */
MUST_CHECK enum err lite_look(struct lite *l);
void lite_end_look(struct lite *l);

/* As in struct db_ops. */
MUST_CHECK enum err lite_begin(struct db *d);
MUST_CHECK enum err lite_commit(struct db *d, bool *ret_replicated);
void lite_abandon(struct db *d);
MUST_CHECK enum err lite_mark(struct db *d);
MUST_CHECK enum err lite_release(struct db *d);
void lite_undo(struct db *d);
