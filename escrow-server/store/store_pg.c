/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_pg.h"
#include "crypto/host/monotonic.h"
#include "escrow-server/process/slog.h"
#include <endian.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static bool is_up(struct db *d)
{
    const struct pg *p = pg_of(d);
    return p->c != NULL && !p->standby;
}

/* Statements. */

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

enum err pg_run(struct query *q, uint64_t *ret_changed)
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
        PGresult *r = NULL;
        enum err e = pg_ahead_take(p, q, &r);
        if (e != ERR_OK && q->posted)
            return e == ERR_NOT_FOUND ? ERR_IO : e;
        if (e != ERR_OK) {
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

static const struct db_ops pg_ops = {
    .close = close_pg,
    .tend = tend,
    .is_up = is_up,
    .begin = pg_begin,
    .commit = pg_commit,
    .abandon = pg_abandon,
    .mark = pg_mark,
    .undo = pg_undo,
    .release = pg_release,
    .prepare = prepare,
    .ahead = pg_ahead,
    .ahead_end = pg_ahead_drop,
    .post = pg_post_ahead,
    .room = pg_room,
    .run = pg_run,
    .row = row,
    .column = column,
    .end = end,
};

/* server.conf is no secret. What libpq says is not passed on: it may repeat a password. */
const char *store_pg_wrong(const char *url)
{
    bool has = false;
    if (url[0] == '\0')
        return NULL;
    PQconninfoOption *all = PQconninfoParse(url, NULL);
    if (all == NULL)
        return "a PostgreSQL connection string is wanted, as postgres://keyholt@db1/keyholt, or nothing "
               "(SQLite)";
    for (const PQconninfoOption *o = all; o->keyword != NULL; o++)
        has = has || (o->val != NULL &&
                      (strcmp(o->keyword, "password") == 0 || strcmp(o->keyword, "sslpassword") == 0));
    PQconninfoFree(all);
    return has ? "no password in server.conf: name a file of the writer's with passfile=" : NULL;
}

/* The first connection is waited for, a while: a database of a newer program must stop the start. */
enum err store_pg_open(const struct store_place *place, enum store_half half, struct db **ret)
{
    const char *url = place->url[half];
    const struct timespec nap = {.tv_nsec = 5000000};
    const char *wrong = store_pg_wrong(url);
    if (wrong != NULL) {
        slog(SLOG_ERROR, "store", "half=%s reason=\"%s\"", sql_pg_name[half], wrong);
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
        struct query q = pg_plain(p, SQL_PATIENT, "session");
        e = pg_run(&q, NULL);
    }
    if (e == ERR_VERSION || e == ERR_UNSUPPORTED || e == ERR_NOMEM || (p->patient && e != ERR_OK)) {
        close_pg(&p->db);
        return e == ERR_BUSY ? ERR_OFFLINE : e;
    }
    *ret = &p->db;
    return ERR_OK;
}
