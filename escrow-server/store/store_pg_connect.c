/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/store/store_pg.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pg_job {
    char *url;
    enum store_half half;
    bool primary_only, standby;
    bool reads;
    bool quiet;  /* it was said that only a standby answers */
    bool silent; /* what fails was said a moment ago */
    PGconn *c;
    enum err err;
    atomic_int left; /* 2: at work; 1: done, or given up by the other side; who makes it 0 frees it */
};

struct session {
    PGconn *c;
    enum store_half half;
    bool standby, reads; /* nothing can be made or changed; nothing is to be */
    bool silent;
};

static enum err refuse(const struct session *s, enum err e, const char *reason)
{
    if (!s->silent)
        slog(SLOG_ERROR, "store", "half=%s reason=\"%s\"", sql_pg_name[s->half], reason);
    return e;
}

/* Before pipeline mode: one statement, its result wanted whole. param: text, or NULL */
static enum err ask(const struct session *s, const char *sql, const char *param, PGresult **ret)
{
    PGresult *r = PQexecParams(s->c, sql, param != NULL, NULL, &param, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(r);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        *ret = r;
        return ERR_OK;
    }
    enum err e = pg_error(r);
    refuse(s, e, PQerrorMessage(s->c));
    PQclear(r);
    return e;
}

static enum err tell(const struct session *s, const char *sql, const char *param)
{
    RESULT(r) = NULL;
    return ask(s, sql, param, &r);
}

/* A migration is several statements in one text, which only the simple protocol takes. */
static enum err script(const struct session *s, const char *sql)
{
    RESULT(r) = PQexec(s->c, sql);
    if (PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK)
        return ERR_OK;
    return refuse(s, pg_error(r), PQerrorMessage(s->c));
}

static enum err check_server(struct session *s, bool standby_will_do)
{
    static const struct {
        enum err err;
        const char *reason;
    } needs[] = {{ERR_UNSUPPORTED, "PostgreSQL 13 or newer is needed"},
                 {ERR_UNSUPPORTED, "the database's encoding must be UTF8"},
                 {ERR_OFFLINE, "only a standby answers"},
                 {ERR_UNSUPPORTED, "fsync is off there: nothing in it is durable"}};
    RESULT(r) = NULL;
    TRY(ask(s, sql_pg_server, NULL, &r));
    for (int i = 0; i < 4; i++) {
        bool good = PQgetvalue(r, 0, i)[0] == 't';
        if (needs[i].err == ERR_OFFLINE && standby_will_do)
            s->standby = !good;
        else if (!good)
            return refuse(s, needs[i].err, needs[i].reason);
    }
    return ERR_OK;
}

static enum err enter_schema(const struct session *s)
{
    RESULT(r) = NULL;
    TRY(ask(s, sql_pg_has_schema, sql_pg_name[s->half], &r));
    if (PQntuples(r) == 0)
        TRY(script(s, sql_pg_make_schema[s->half]));
    return tell(s, sql_pg_path, sql_pg_name[s->half]);
}

static enum err migrate_from(const struct session *s, long version)
{
    char number[24];
    if (version > SQL_PG_VERSION)
        return refuse(s, ERR_VERSION, "the database was made by a newer keyholt-server");
    if (version < SQL_PG_VERSION) /* an index of millions takes its time */
        TRY(tell(s, sql_pg_no_limit, NULL));
    for (; version < SQL_PG_VERSION; version++) {
        snprintf(number, sizeof number, "%ld", version + 1);
        TRY(script(s, sql_pg_schema[s->half][version]));
        TRY(tell(s, sql_pg_version_set, number));
        slog(SLOG_INFO, "store", "half=%s migrated-to=%s", sql_pg_name[s->half], number);
    }
    return ERR_OK;
}

static enum err migrate_locked(const struct session *s)
{
    RESULT(r) = NULL;
    TRY(tell(s, sql_pg_lock, NULL));
    TRY(tell(s, sql_pg_version_table, NULL));
    TRY(ask(s, sql_pg_version_get, NULL, &r));
    return migrate_from(s, strtol(PQgetvalue(r, 0, 0), NULL, 10));
}

/* All numbers that are missing, in one transaction: either the program fits afterwards, or nothing changed.
 */
static enum err migrate(const struct session *s)
{
    TRY(script(s, sql_pg[SQL_BEGIN].text));
    enum err e = migrate_locked(s);
    if (e == ERR_OK)
        return script(s, sql_pg[SQL_COMMIT].text);
    (void)script(s, sql_pg[SQL_ROLLBACK].text);
    return e;
}

/* A standby has what the primary made, the reader what the writer made. */
static enum err look_at_schema(const struct session *s)
{
    RESULT(r) = NULL;
    TRY(tell(s, sql_pg_path, sql_pg_name[s->half]));
    TRY(ask(s, sql_pg_version_get, NULL, &r));
    if (PQntuples(r) == 1 && strtol(PQgetvalue(r, 0, 0), NULL, 10) == SQL_PG_VERSION)
        return ERR_OK;
    return refuse(s, ERR_OFFLINE,
                  s->standby ? "only a standby answers, with the schema of another keyholt-server"
                             : "the schema is another keyholt-server's, or not made yet");
}

static enum err prepare(const struct session *s)
{
    for (unsigned i = 0; i < SQL_COUNT; i++) {
        char name[16];
        if ((sql_pg[i].halves & (1u << s->half)) == 0)
            continue;
        snprintf(name, sizeof name, "k%u", i);
        RESULT(r) = PQprepare(s->c, name, sql_pg[i].text, 0, NULL);
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            return refuse(s, pg_error(r), PQerrorMessage(s->c));
    }
    return ERR_OK;
}

static enum err make_session(struct session *s, bool standby_will_do)
{
    TRY(check_server(s, standby_will_do));
    TRY(tell(s, sql_pg_session, NULL));
    if (s->reads)
        TRY(tell(s, sql_pg_read_only, NULL));
    if (s->standby || s->reads) {
        TRY(look_at_schema(s));
    } else {
        TRY(enter_schema(s));
        TRY(migrate(s));
    }
    TRY(prepare(s));
    return PQsetnonblocking(s->c, 1) == 0 && PQenterPipelineMode(s->c) == 1 ? ERR_OK : ERR_IO;
}

/* What stands before the connection string is a default, what stands behind it is not to be changed. */
static PGconn *dial(const char *url, bool any)
{
    const char *const names[] = {"connect_timeout",
                                 "tcp_user_timeout",
                                 "target_session_attrs",
                                 "fallback_application_name",
                                 "dbname",
                                 "client_encoding",
                                 any ? "target_session_attrs" : NULL,
                                 NULL};
    const char *const values[] = {"3", "10000", "read-write", "keyholt-server", url, "UTF8", "any", NULL};
    return PQconnectdbParams(names, values, 1);
}

static void no_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

static enum err connect(const struct pg_job *j, bool any, struct session *ret)
{
    struct session s = {dial(j->url, any), j->half, .reads = j->reads, .silent = j->silent};
    if (s.c == NULL)
        return ERR_NOMEM;
    enum err e = ERR_OFFLINE;
    PQsetNoticeReceiver(s.c, no_notice, NULL);
    if (PQstatus(s.c) == CONNECTION_OK)
        e = make_session(&s, any);
    else if (!j->quiet)
        refuse(&s, e, PQerrorMessage(s.c));
    if (e != ERR_OK)
        PQfinish(s.c);
    else
        *ret = s;
    return e;
}

static void let_go(struct pg_job *j)
{
    if (atomic_fetch_sub(&j->left, 1) != 1)
        return;
    PQfinish(j->c); /* takes NULL */
    free(j->url);
    free(j);
}

static void *work(void *arg)
{
    struct pg_job *j = arg;
    struct session s = {.c = NULL};
    j->err = connect(j, false, &s);
    if (j->err == ERR_OFFLINE && !j->primary_only)
        j->err = connect(j, true, &s);
    j->c = s.c;
    j->standby = s.standby;
    let_go(j);
    return NULL;
}

/* Signals are the main thread's. */
static bool run_thread(void *(*what)(void *), void *arg)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool runs = pthread_create(&thread, NULL, what, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (runs)
        pthread_detach(thread);
    return runs;
}

static void *cancel_work(void *arg)
{
    char reason[256];
    if (PQcancel(arg, reason, sizeof reason) != 1)
        slog(SLOG_WARN, "store", "warning=\"a statement could not be cancelled: %s\"", reason);
    PQfreeCancel(arg);
    return NULL;
}

void pg_cancel(const struct pg *p)
{
    PGcancel *cancel = PQgetCancel(p->c);
    if (cancel != NULL && !run_thread(cancel_work, cancel))
        PQfreeCancel(cancel);
}

void pg_job_start(struct pg *p)
{
    struct pg_job *j = calloc(1, sizeof *j);
    if (j == NULL)
        return;
    j->half = p->db.half;
    j->primary_only = p->patient || p->c != NULL;
    j->reads = p->reads;
    j->quiet = p->c != NULL;
    j->silent = monotonic_ms() < p->say_again_ms;
    if (!j->silent)
        p->say_again_ms = monotonic_ms() + PG_BACKOFF_MAX_MS;
    j->url = strdup(p->url);
    atomic_init(&j->left, 2);
    if (j->url != NULL && run_thread(work, j)) {
        p->job = j;
        return;
    }
    free(j->url);
    free(j);
}

enum err pg_job_take(struct pg *p)
{
    struct pg_job *j = p->job;
    if (atomic_load(&j->left) == 2)
        return ERR_BUSY;
    enum err e = j->err == ERR_BUSY ? ERR_OFFLINE : j->err; /* BUSY says that it is at work */
    if (e == ERR_OK) {
        PQfinish(p->c); /* to a standby; takes NULL */
        p->c = j->c;
        p->standby = j->standby;
        PQsetNoticeReceiver(p->c, pg_notice, p);
    }
    j->c = NULL;
    p->job = NULL;
    let_go(j);
    return e;
}

void pg_job_drop(struct pg *p)
{
    if (p->job != NULL)
        let_go(p->job);
    p->job = NULL;
}
