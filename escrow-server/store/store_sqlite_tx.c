/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transactions on SQLite. */
#include "escrow-server/store/store_sqlite.h"

enum err lite_plain(struct lite *l, enum sql which, const char *doing)
{
    __attribute__((cleanup(query_end))) struct query q = {.db = &l->db, .which = which, .doing = doing};
    return lite_run(&q, NULL);
}

enum err lite_look(struct lite *l)
{
    if (l->looking || sqlite3_get_autocommit(l->c) == 0)
        return ERR_OK;
    TRY(lite_plain(l, SQL_LOOK, "look"));
    l->looking = true;
    return ERR_OK;
}

void lite_end_look(struct lite *l)
{
    if (l->looking && sqlite3_get_autocommit(l->c) == 0)
        (void)lite_plain(l, SQL_COMMIT, "end-look");
    l->looking = false;
}

bool lite_in_batch(const struct lite *l)
{
    return !l->looking && sqlite3_get_autocommit(l->c) == 0;
}

enum err lite_begin(struct db *d)
{
    struct lite *l = lite_of(d);
    lite_end_look(l);
    redo_clear(&l->redo);
    l->mark.saved = false;
    return lite_plain(l, SQL_BEGIN, "begin");
}

void lite_abandon(struct db *d)
{
    if (lite_in_batch(lite_of(d)))
        (void)lite_plain(lite_of(d), SQL_ROLLBACK, "rollback");
}

enum err lite_commit(struct db *d, bool *ret_replicated)
{
    /* SQLite rolls back by itself on some errors; a COMMIT of nothing must not pass for success. */
    if (!lite_in_batch(lite_of(d)))
        return ERR_IO;
    enum err e = lite_plain(lite_of(d), SQL_COMMIT, "commit");
    if (e != ERR_OK)
        lite_abandon(d);
    else
        *ret_replicated = false;
    return e;
}

enum err lite_mark(struct db *d)
{
    struct lite *l = lite_of(d);
    if (!lite_in_batch(l))
        return ERR_IO;
    l->mark =
        (struct lite_mark){.saved = l->redo.full, .at = l->redo.len, .changes = sqlite3_total_changes(l->c)};
    return l->mark.saved ? lite_plain(l, SQL_MARK, "mark") : ERR_OK;
}

enum err lite_release(struct db *d)
{
    struct lite *l = lite_of(d);
    if (!lite_in_batch(l))
        return ERR_IO;
    enum err e = l->mark.saved ? lite_plain(l, SQL_RELEASE, "release") : ERR_OK;
    l->mark.saved = false;
    return e;
}

/* Once in a transaction; for what comes after it in the same one there are savepoints. */
static enum err again(struct lite *l)
{
    TRY(lite_plain(l, SQL_ROLLBACK, "rollback"));
    TRY(lite_plain(l, SQL_BEGIN, "begin-again"));
    TRY(redo_run(&l->redo, l->mark.at, &l->db, lite_run));
    l->redo.full = true;
    return ERR_OK;
}

static enum err take_back(struct lite *l)
{
    if (l->mark.saved) {
        TRY(lite_plain(l, SQL_UNDO, "undo"));
        return lite_release(&l->db);
    }
    return sqlite3_total_changes(l->c) == l->mark.changes ? ERR_OK : again(l);
}

void lite_undo(struct db *d)
{
    if (!lite_in_batch(lite_of(d)))
        return; /* all is gone already, and commit will say so */
    /* What cannot be undone must not be committed either. */
    if (take_back(lite_of(d)) != ERR_OK)
        lite_abandon(d);
}
