#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite behind store_db.h: what its parts share. store_sqlite.c opens files and runs statements,
 * store_sqlite_migrate.c makes them what they are to be, store_sqlite_tx.c has transactions. */

#include "escrow-server/store/store_db.h"
#include <sqlite3.h>

struct lite {
    struct db db; /* first */
    sqlite3 *c;
    sqlite3_stmt *stmt[SQL_COUNT];
    bool looking; /* in a transaction of our own that only reads */
    bool begun;   /* the batch's transaction, until commit or abandon: SQLite may end it before that */
    enum err why; /* the first failure since; OK: there was none */
};

static inline struct lite *lite_of(struct db *d)
{
    return (struct lite *)d;
}

/* One log line about what SQLite refused last. Returns what that is. */
MUST_CHECK enum err lite_report(struct lite *l, const char *doing);
MUST_CHECK enum err lite_exec(struct lite *l, const char *sql, const char *doing);
/* Makes or brings forward, each step in a transaction of its own; a file that could not be is as it was.
 * err: VERSION, UNSUPPORTED (the disk has no room to bring it forward), FULL (of a new file), IO */
MUST_CHECK enum err lite_migrate(struct lite *l, const struct store_place *place);
/* Whoever only reads takes it as the writer made it. err: VERSION */
MUST_CHECK enum err lite_check_version(struct lite *l);
/* As run() in struct db_ops. */
MUST_CHECK enum err lite_run(struct query *q, uint64_t *ret_changed);
/* A full disk, a failed write or want of memory may have SQLite roll the whole transaction back by itself.
 * Whatever comes next would then be durable at once, or be read from what is no longer there; until that
 * batch is over, nothing does. err: the failure that did it; OK: it did not happen */
MUST_CHECK enum err lite_gone(const struct lite *l);
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
