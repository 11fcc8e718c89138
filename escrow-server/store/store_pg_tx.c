/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Transactions on PostgreSQL. */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/store/store_pg.h"
#include <string.h>
#include <time.h>

#define MONTHS_EVERY_S 3600

static enum err post(struct pg *p, enum sql which)
{
    const struct query q = {.db = &p->db, .which = which};
    return pg_post(p, &q);
}

/* Once in an hour, and for every new connection, so that the month's tables are there before its first record
 * comes. */
static enum err make_months(struct pg *p)
{
    uint64_t now_s = (uint64_t)time(NULL);
    if (p->db.half != STORE_COMPLIANCE ||
        (now_s >= p->months_at_s && now_s - p->months_at_s < MONTHS_EVERY_S))
        return ERR_OK;
    struct query q = pg_plain(p, SQL_MONTHS, "months");
    q.param[q.n++] = (struct query_param){.kind = QUERY_U64, .number = now_s * 1000000};
    TRY(pg_run(&q, NULL));
    p->months_at_s = now_s;
    return ERR_OK;
}

/* What was posted may have failed, and then the server skips everything up to the next answer. */
static void drain(struct pg *p)
{
    if (p->posted > 0 && pg_wait(p, PG_WAIT_MS, "give-up", NULL) != ERR_OK)
        return; /* which is no matter: it is about to be undone */
}

enum err pg_begin(struct db *d)
{
    struct pg *p = pg_of(d);
    if (p->c == NULL)
        return pg_away(p);
    if (p->standby)
        return ERR_OFFLINE;
    if (monotonic_ms() < p->pause_until_ms)
        return ERR_BUSY;
    TRY(make_months(p));
    drain(p); /* what was asked ahead is no part of it */
    TRY(post(p, SQL_BEGIN));
    p->in_tx = true;
    return ERR_OK;
}

static enum err outside(const struct pg *p)
{
    return p->c == NULL ? ERR_OFFLINE : ERR_IO;
}

void pg_abandon(struct db *d)
{
    struct pg *p = pg_of(d);
    if (!p->in_tx)
        return;
    drain(p);
    pg_ahead_drop(&p->db);
    p->in_tx = false;
    if (post(p, SQL_ROLLBACK) != ERR_OK || pg_wait(p, PG_WAIT_MS, "rollback", NULL) != ERR_OK)
        pg_lose(p, "it cannot be rolled back");
}

enum err pg_mark(struct db *d)
{
    struct pg *p = pg_of(d);
    return p->in_tx ? post(p, SQL_MARK) : outside(p);
}

enum err pg_release(struct db *d)
{
    struct pg *p = pg_of(d);
    if (!p->in_tx)
        return outside(p);
    bool all_read = p->posted == 0;
    TRY(post(p, SQL_RELEASE));
    if (all_read) /* it can fail only with the connection, and then commit does */
        return ERR_OK;
    return pg_wait(p, PG_WAIT_MS, "release", NULL);
}

void pg_undo(struct db *d)
{
    struct pg *p = pg_of(d);
    if (!p->in_tx)
        return;
    drain(p);
    pg_ahead_drop(d);
    if (post(p, SQL_UNDO) != ERR_OK || post(p, SQL_RELEASE) != ERR_OK ||
        pg_wait(p, PG_WAIT_MS, "undo", NULL) != ERR_OK)
        pg_abandon(d);
}

/* A transaction that failed is rolled back by COMMIT, without an error. */
static enum err send_commit(struct pg *p, char ret_lsn[static 32])
{
    RESULT(wal) = NULL;
    RESULT(done) = NULL;
    TRY(post(p, SQL_WAL));
    TRY(pg_wait(p, PG_WAIT_MS, "commit-mark", &wal));
    if (PQntuples(wal) != 1 || PQgetlength(wal, 0, 0) >= 32)
        return ERR_INTERNAL;
    memcpy(ret_lsn, PQgetvalue(wal, 0, 0), (size_t)PQgetlength(wal, 0, 0) + 1);
    p->warned = false;
    TRY(post(p, SQL_COMMIT));
    p->in_tx = false;
    TRY(pg_wait(p, PG_SYNC_MS, "commit", &done));
    return strcmp(PQcmdStatus(done), "COMMIT") == 0 ? ERR_OK : ERR_IO;
}

static enum err has_standby(struct pg *p, const char *lsn, bool *ret)
{
    __attribute__((cleanup(query_end))) struct query q = pg_plain(p, SQL_STANDBY, "standby");
    query_text(&q, lsn);
    return query_any(&q, ret);
}

/* A cancelled wait for a standby commits, and says so in a warning: the records are here and nowhere else, so
 * nobody is told that they are safe. They come again, and then wait again. */
static enum err not_replicated(struct pg *p)
{
    p->pause_until_ms = monotonic_ms() + PG_PAUSE_MS;
    slog(SLOG_ERROR, "store",
         "half=%s reason=\"the commit came with a warning; no receipts for it\" pause-ms=%d",
         sql_pg_name[p->db.half], PG_PAUSE_MS);
    return ERR_BUSY;
}

enum err pg_commit(struct db *d, bool *ret_replicated)
{
    struct pg *p = pg_of(d);
    char lsn[32];
    bool replicated = false;
    pg_ahead_drop(&p->db);
    if (!p->in_tx)
        return outside(p);
    enum err e = send_commit(p, lsn);
    if (e != ERR_OK) {
        pg_abandon(d);
        return e;
    }
    if (p->warned)
        return not_replicated(p);
    if (has_standby(p, lsn, &replicated) != ERR_OK)
        replicated = false; /* it is durable here */
    *ret_replicated = replicated;
    return ERR_OK;
}
