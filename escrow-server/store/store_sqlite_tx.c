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

enum err lite_gone(const struct lite *l)
{
    if (!l->begun || sqlite3_get_autocommit(l->c) == 0)
        return ERR_OK;
    return l->why != ERR_OK ? l->why : ERR_IO;
}

/* err: of lite_gone(), IO (nothing was begun) */
static enum err in_batch(const struct lite *l)
{
    TRY(lite_gone(l));
    return l->begun ? ERR_OK : ERR_IO;
}

enum err lite_begin(struct db *d)
{
    struct lite *l = lite_of(d);
    lite_end_look(l);
    TRY(plain(l, SQL_BEGIN, "begin"));
    l->begun = true;
    l->why = ERR_OK;
    return ERR_OK;
}

void lite_abandon(struct db *d)
{
    struct lite *l = lite_of(d);
    if (in_batch(l) == ERR_OK)
        (void)plain(l, SQL_ROLLBACK, "rollback");
    l->begun = false;
}

enum err lite_commit(struct db *d, bool *ret_replicated)
{
    struct lite *l = lite_of(d);
    enum err e = in_batch(l); /* a COMMIT of nothing must not pass for success */
    if (e == ERR_OK)
        e = plain(l, SQL_COMMIT, "commit");
    if (e != ERR_OK)
        lite_abandon(d);
    else
        *ret_replicated = false;
    l->begun = false;
    return e;
}

enum err lite_mark(struct db *d)
{
    TRY(in_batch(lite_of(d)));
    return plain(lite_of(d), SQL_MARK, "mark");
}

enum err lite_release(struct db *d)
{
    TRY(in_batch(lite_of(d)));
    return plain(lite_of(d), SQL_RELEASE, "release");
}

void lite_undo(struct db *d)
{
    struct lite *l = lite_of(d);
    if (in_batch(l) != ERR_OK)
        return; /* all is gone already, and commit will say so */
    /* What cannot be undone must not be committed either. */
    if (plain(l, SQL_UNDO, "undo") == ERR_OK && lite_release(d) == ERR_OK) {
        l->why = ERR_OK; /* that is undone, too */
        return;
    }
    (void)plain(l, SQL_ROLLBACK, "rollback");
}
