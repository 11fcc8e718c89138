/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_pg.h"
#include "crypto/host/monotonic.h"
#include "escrow-server/process/slog.h"
#include <endian.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MONTHS_EVERY_S 3600

static void result_clear(PGresult **r)
{
    PQclear(*r);
}
#define RESULT(name) __attribute__((cleanup(result_clear))) PGresult *name

/* Connection. */

static void close_pg(struct db *d)
{
    struct pg *p = pg_of(d);
    pg_job_drop(p);
    pg_ahead_drop(&p->db);
    PQfinish(p->c);
    free(p);
}

/* The other end may have gone while nobody asked for anything. */
static void look_at_idle(struct pg *p)
{
    struct pollfd fd = {PQsocket(p->c), POLLIN, 0};
    if (p->in_tx || p->posted > 0 || poll(&fd, 1, 0) <= 0)
        return;
    if (PQconsumeInput(p->c) != 1 || PQstatus(p->c) != CONNECTION_OK)
        pg_lose(p, PQerrorMessage(p->c));
}

static void back_off(struct pg *p)
{
    p->backoff_ms = p->backoff_ms == 0 ? PG_BACKOFF_MIN_MS : p->backoff_ms * 2;
    if (p->backoff_ms > PG_BACKOFF_MAX_MS)
        p->backoff_ms = PG_BACKOFF_MAX_MS;
    p->failed_ms = monotonic_ms();
    p->again_ms = p->failed_ms + p->backoff_ms;
}

static enum err take_connection(struct pg *p)
{
    enum err e = pg_job_take(p);
    if (e == ERR_BUSY)
        return e;
    if (e != ERR_OK) {
        back_off(p);
        return e;
    }
    p->backoff_ms = 0;
    p->months_at_s = 0;
    if (p->standby) /* a primary may come */
        p->again_ms = monotonic_ms() + PG_BACKOFF_MAX_MS;
    slog(p->standby ? SLOG_WARN : SLOG_INFO, "store", "half=%s connected=1 standby=%d host=\"%s\"",
         sql_pg_name[p->db.half], p->standby, PQhost(p->c) == NULL ? "" : PQhost(p->c));
    return ERR_OK;
}

static int tend(struct db *d)
{
    struct pg *p = pg_of(d);
    if (p->c != NULL)
        look_at_idle(p);
    if (p->c != NULL && !p->standby)
        return PG_IDLE_MS;
    if (p->job == NULL && monotonic_ms() >= p->again_ms)
        pg_job_start(p);
    if (p->job != NULL && take_connection(p) == ERR_OK)
        return PG_IDLE_MS;
    if (p->c != NULL && p->job == NULL)
        return PG_IDLE_MS;
    return p->job != NULL ? PG_BACKOFF_MIN_MS / 4 : PG_BACKOFF_MIN_MS;
}

/* Statements. */

static struct query plain(struct pg *p, enum sql which, const char *doing)
{
    return (struct query){.db = &p->db, .which = which, .doing = doing};
}

static enum err post(struct pg *p, enum sql which)
{
    const struct query q = {.db = &p->db, .which = which};
    return pg_post(p, &q);
}

static enum err prepare(struct db *d, enum sql which, const char *text)
{
    struct pg *p = pg_of(d);
    char name[24];
    if (p->c == NULL)
        return ERR_OFFLINE;
    p->prepared[which]++;
    pg_name(p, which, name);
    if (PQsendPrepare(p->c, name, text, 0, NULL) != 1)
        return ERR_OFFLINE;
    p->posted++;
    return pg_wait(p, PG_WAIT_MS, "prepare", NULL);
}

static enum err run(struct query *q, uint64_t *ret_changed)
{
    struct pg *p = pg_of(q->db);
    RESULT(r) = NULL;
    if (sql_pg[q->which].halves == 0 && p->prepared[q->which] == 0) { /* the dialect can do without it */
        if (ret_changed != NULL)
            *ret_changed = 0;
        return ERR_OK;
    }
    TRY(pg_post(p, q));
    if (ret_changed == NULL && p->in_tx)
        return ERR_OK;
    TRY(pg_wait(p, PG_WAIT_MS, q->doing, &r));
    if (ret_changed != NULL)
        *ret_changed = strtoull(PQcmdTuples(r), NULL, 10);
    return ERR_OK;
}

static enum err row(struct query *q)
{
    struct pg *p = pg_of(q->db);
    if (!q->sent) {
        PGresult *r = pg_ahead_take(p, q);
        if (r == NULL) {
            TRY(pg_post(p, q));
            TRY(pg_wait(p, PG_WAIT_MS, q->doing, &r));
        }
        q->sent = true;
        q->result = r;
        q->row = -1;
    }
    return ++q->row < PQntuples(q->result) ? ERR_OK : ERR_NOT_FOUND;
}

#define OID_INT8 20 /* pg_type.dat */

static void column(const struct query *q, int i, struct db_column *ret)
{
    *ret = (struct db_column){.p = NULL};
    ret->null = PQgetisnull(q->result, q->row, i) == 1;
    if (ret->null)
        return;
    ret->p = (const uint8_t *)PQgetvalue(q->result, q->row, i);
    ret->len = (size_t)PQgetlength(q->result, q->row, i);
    if (PQftype(q->result, i) == OID_INT8 && ret->len == sizeof ret->number) {
        memcpy(&ret->number, ret->p, sizeof ret->number);
        ret->number = be64toh(ret->number);
    }
}

static void end(struct query *q)
{
    PQclear(q->result); /* takes NULL */
    q->result = NULL;
}

/* Transactions. */

/* Once in an hour, and for every new connection, so that the month's tables are there before its first record
 * comes. */
static enum err make_months(struct pg *p)
{
    uint64_t now_s = (uint64_t)time(NULL);
    if (p->db.half != STORE_COMPLIANCE ||
        (now_s >= p->months_at_s && now_s - p->months_at_s < MONTHS_EVERY_S))
        return ERR_OK;
    struct query q = plain(p, SQL_MONTHS, "months");
    q.param[q.n++] = (struct query_param){.kind = QUERY_U64, .number = now_s * 1000000};
    TRY(run(&q, NULL));
    p->months_at_s = now_s;
    return ERR_OK;
}

/* What was posted may have failed, and then the server skips everything up to the next answer. */
static void drain(struct pg *p)
{
    if (p->posted > 0 && pg_wait(p, PG_WAIT_MS, "give-up", NULL) != ERR_OK)
        return; /* which is no matter: it is about to be undone */
}

static enum err begin(struct db *d)
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

static void abandon(struct db *d)
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

static enum err mark(struct db *d)
{
    struct pg *p = pg_of(d);
    return p->in_tx ? post(p, SQL_MARK) : outside(p);
}

static enum err release(struct db *d)
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

static void undo(struct db *d)
{
    struct pg *p = pg_of(d);
    if (!p->in_tx)
        return;
    drain(p);
    pg_ahead_drop(d);
    if (post(p, SQL_UNDO) != ERR_OK || post(p, SQL_RELEASE) != ERR_OK ||
        pg_wait(p, PG_WAIT_MS, "undo", NULL) != ERR_OK)
        abandon(d);
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
    __attribute__((cleanup(query_end))) struct query q = plain(p, SQL_STANDBY, "standby");
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

static enum err commit(struct db *d, bool *ret_replicated)
{
    struct pg *p = pg_of(d);
    char lsn[32];
    bool replicated = false;
    pg_ahead_drop(&p->db);
    if (!p->in_tx)
        return outside(p);
    enum err e = send_commit(p, lsn);
    if (e != ERR_OK) {
        abandon(d);
        return e;
    }
    if (p->warned)
        return not_replicated(p);
    if (has_standby(p, lsn, &replicated) != ERR_OK)
        replicated = false; /* it is durable here */
    *ret_replicated = replicated;
    return ERR_OK;
}

static const struct db_ops pg_ops = {
    .close = close_pg,
    .tend = tend,
    .begin = begin,
    .commit = commit,
    .abandon = abandon,
    .mark = mark,
    .undo = undo,
    .release = release,
    .prepare = prepare,
    .ahead = pg_ahead,
    .ahead_end = pg_ahead_drop,
    .run = run,
    .row = row,
    .column = column,
    .end = end,
};

/* server.conf is no secret. */
static bool has_password(const char *url)
{
    bool has = false;
    PQconninfoOption *all = PQconninfoParse(url, NULL);
    for (const PQconninfoOption *o = all; o != NULL && o->keyword != NULL; o++)
        has = has || (o->val != NULL &&
                      (strcmp(o->keyword, "password") == 0 || strcmp(o->keyword, "sslpassword") == 0));
    PQconninfoFree(all);
    return has;
}

/* The first connection is waited for, a while: a database of a newer program must stop the start. */
enum err store_pg_open(const struct store_place *place, enum store_half half, struct db **ret)
{
    const char *url = place->url[half];
    const struct timespec nap = {.tv_nsec = 5000000};
    if (has_password(url)) {
        slog(SLOG_ERROR, "store",
             "half=%s reason=\"no password in server.conf: name a file of the writer's with passfile=\"",
             sql_pg_name[half]);
        return ERR_UNSUPPORTED;
    }
    struct pg *p = calloc(1, sizeof *p);
    if (p == NULL)
        return ERR_NOMEM;
    p->db = (struct db){&pg_ops, half};
    p->url = url;
    p->patient = place->patient;
    p->reads = place->reads;
    pg_job_start(p);
    enum err e = p->job == NULL ? ERR_NOMEM : ERR_BUSY;
    for (int64_t until = monotonic_ms() + STORE_OPEN_MS; e == ERR_BUSY && monotonic_ms() < until;) {
        e = take_connection(p);
        if (e == ERR_BUSY)
            nanosleep(&nap, NULL);
    }
    if (e == ERR_OK && p->patient) {
        struct query q = plain(p, SQL_PATIENT, "session");
        e = run(&q, NULL);
    }
    if (e == ERR_VERSION || e == ERR_UNSUPPORTED || e == ERR_NOMEM || (p->patient && e != ERR_OK)) {
        close_pg(&p->db);
        return e == ERR_BUSY ? ERR_OFFLINE : e;
    }
    *ret = &p->db;
    return ERR_OK;
}
