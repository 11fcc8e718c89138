/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transactions on SQLite. */
#include "escrow-server/store/store_sqlite.h"

static enum err plain(struct lite *l, enum sql which, const char *doing)
{
    __attribute__((cleanup(query_end))) struct query q = {.db = &l->db, .which = which, .doing = doing};
    return lite_run(&q, NULL);
}

enum err lite_look(struct lite *l)
{
    if (l->looking || sqlite3_get_autocommit(l->c) == 0)
        return ERR_OK;
    TRY(plain(l, SQL_LOOK, "look"));
    l->looking = true;
    return ERR_OK;
}

void lite_end_look(struct lite *l)
{
    if (l->looking && sqlite3_get_autocommit(l->c) == 0)
        (void)plain(l, SQL_COMMIT, "end-look");
    l->looking = false;
}

static bool in_batch(const struct lite *l)
{
    return !l->looking && sqlite3_get_autocommit(l->c) == 0;
}

enum err lite_begin(struct db *d)
{
    lite_end_look(lite_of(d));
    return plain(lite_of(d), SQL_BEGIN, "begin");
}

void lite_abandon(struct db *d)
{
    if (in_batch(lite_of(d)))
        (void)plain(lite_of(d), SQL_ROLLBACK, "rollback");
}

enum err lite_commit(struct db *d, bool *ret_replicated)
{
    /* SQLite rolls back by itself on some errors; a COMMIT of nothing must not pass for success. */
    if (!in_batch(lite_of(d)))
        return ERR_IO;
    enum err e = plain(lite_of(d), SQL_COMMIT, "commit");
    if (e != ERR_OK)
        lite_abandon(d);
    else
        *ret_replicated = false;
    return e;
}

enum err lite_mark(struct db *d)
{
    return !in_batch(lite_of(d)) ? ERR_IO : plain(lite_of(d), SQL_MARK, "mark");
}

enum err lite_release(struct db *d)
{
    return !in_batch(lite_of(d)) ? ERR_IO : plain(lite_of(d), SQL_RELEASE, "release");
}

void lite_undo(struct db *d)
{
    if (!in_batch(lite_of(d)))
        return; /* all is gone already, and commit will say so */
    /* What cannot be undone must not be committed either. */
    if (plain(lite_of(d), SQL_UNDO, "undo") != ERR_OK || lite_release(d) != ERR_OK)
        lite_abandon(d);
}
