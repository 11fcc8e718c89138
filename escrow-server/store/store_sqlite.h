#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite behind store_db.h: what its parts share. store_sqlite.c opens files and runs statements,
 * store_sqlite_tx.c has transactions. */

#include "escrow-server/store/redo.h"
#include <sqlite3.h>

struct lite {
    struct db db; /* first */
    sqlite3 *c;
    sqlite3_stmt *stmt[SQL_COUNT];
    bool looking; /* in a transaction of our own that only reads */
    struct redo redo;
    struct lite_mark {
        bool saved;  /* by a savepoint */
        size_t at;   /* else: so much of redo came before it, */
        int changes; /* and so many rows were changed by then */
    } mark;
};

static inline struct lite *lite_of(struct db *d)
{
    return (struct lite *)d;
}

/* As run() in struct db_ops, and nothing is kept of it. */
MUST_CHECK enum err lite_run(struct query *q, uint64_t *ret_changed);
/* A statement without parameters. doing: for the log */
enum err lite_plain(struct lite *l, enum sql which, const char *doing);
/* Is a transaction open that writes? */
bool lite_in_batch(const struct lite *l);
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
