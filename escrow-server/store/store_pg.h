#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PostgreSQL behind store_db.h: what its parts share. store_pg_connect.c makes connections, in a thread of
 * its own, because looking up names and trying hosts one after another waits; store_pg_wire.c sends and
 * receives (pipeline mode); store_pg_tx.c has transactions, store_pg.c the engine's table. */

#include "escrow-server/store/store_db.h"
#include <postgresql/libpq-fe.h>

#define PG_WAIT_MS        10000 /* for one answer; the server gives up after 8 s (sql_pg_session) */
#define PG_PATIENT_MS     (24 * 3600 * 1000)
#define PG_CANCEL_MS      3000 /* for the answer to a cancellation */
#define PG_SYNC_MS        4000 /* for a commit, before the wait for a standby is cancelled */
#define PG_BACKOFF_MIN_MS 100
#define PG_BACKOFF_MAX_MS 5000
#define PG_ASKED_MS       200  /* between two tries while somebody asks */
#define PG_IDLE_MS        1000 /* how often an idle connection is looked at */
#define PG_PAUSE_MS       5000 /* no writing for so long after no standby had answered */

#define PG_AHEAD 2048 /* a batch's: WRITER_BATCH requests, and what each asks of one half or puts there */

/* A question that was posted before anybody waited for its answer. */
struct pg_ahead {
    enum sql which;   /* SQL_COUNT: nobody will ask for it any more */
    uint8_t key[32];  /* its first parameter */
    unsigned place;   /* among what was posted */
    PGresult *result; /* NULL: not yet, or an error, or it was taken */
};

struct pg_job; /* a connection being made */

struct pg {
    struct db db; /* first */
    const char *url;
    PGconn *c;    /* NULL: offline */
    bool standby; /* c is to a standby: it reads, and nothing else */
    struct pg_job *job;
    int64_t failed_ms, again_ms, say_again_ms, pause_until_ms;
    unsigned backoff_ms;
    bool in_tx;
    unsigned posted; /* statements whose results were not read */
    bool warned;     /* a warning came since this was cleared */
    uint64_t months_at_s;
    bool patient, reads;
    unsigned n_ahead, n_came, ahead_at; /* so many results came; where to look first */
    struct pg_ahead ahead[PG_AHEAD];
    unsigned prepared[SQL_COUNT]; /* how often a free statement got another text */
};

static inline struct pg *pg_of(struct db *d)
{
    return (struct pg *)d;
}

/* A result that goes with its block. */
#define RESULT(name) __attribute__((cleanup(pg_result_clear))) PGresult *name
static inline void pg_result_clear(PGresult **r)
{
    PQclear(*r);
}

/* A statement without parameters. doing: for the log */
static inline struct query pg_plain(struct pg *p, enum sql which, const char *doing)
{
    return (struct query){.db = &p->db, .which = which, .doing = doing};
}

/* Start to connect, in a thread: to a primary, and where none answers, to a standby with the same schema,
 * which can be read. With such a connection already, or for a command (patient), a primary only. Where p only
 * reads, the schema must be there already. */
void pg_job_start(struct pg *p);
/* Is it done? Then p->job is gone, and on ERR_OK p->c (an older one is closed) and p->standby are set.
 * err: BUSY, OFFLINE, VERSION, UNSUPPORTED, DENIED, IO */
MUST_CHECK enum err pg_job_take(struct pg *p);
/* Ask the server to give up what it does for p, in a thread. */
void pg_cancel(const struct pg *p);
/* Leave it alone: it ends by itself. */
void pg_job_drop(struct pg *p);

/* Notice receiver: remembers warnings, logs them. arg: struct pg */
void pg_notice(void *arg, const PGresult *r);
/* From SQLSTATE, or a lost connection. */
enum err pg_error(const PGresult *r);
void pg_log(const struct pg *p, const char *doing, const char *state, const char *text);

/* Somebody asks while there is no connection: the next try is soon.
 * Returns ERR_OFFLINE */
MUST_CHECK enum err pg_away(struct pg *p);
/* The connection is of no use any more. */
void pg_lose(struct pg *p, const char *reason);
/* Its name on the server. */
void pg_name(const struct pg *p, enum sql which, char ret[static 24]);
/* Send a statement and read nothing. */
MUST_CHECK enum err pg_post(struct pg *p, const struct query *q);
/* As in struct db_ops. */
MUST_CHECK enum err pg_run(struct query *q, uint64_t *ret_changed);
MUST_CHECK enum err pg_begin(struct db *d);
MUST_CHECK enum err pg_commit(struct db *d, bool *ret_replicated);
void pg_abandon(struct db *d);
MUST_CHECK enum err pg_mark(struct db *d);
MUST_CHECK enum err pg_release(struct db *d);
void pg_undo(struct db *d);
/* As in struct db_ops; nothing is done where it cannot be. */
void pg_ahead(struct db *d, const struct query *q);
MUST_CHECK enum err pg_post_ahead(struct db *d, const struct query *q);
unsigned pg_room(struct db *d);
/* Forget all of them. */
void pg_ahead_drop(struct db *d);
/* A result came, of what was posted in this place: true when it is kept for whoever asks. */
bool pg_ahead_give(struct pg *p, unsigned place, PGresult *r);
/* The answer to a question that was asked ahead, waited for where it must be.
 * err: what went wrong while that was waited for; NOT_FOUND (it was not asked, or failed earlier) */
MUST_CHECK enum err pg_ahead_take(struct pg *p, const struct query *q, PGresult **ret);
/* Read the results of all that was posted; what is not there in time is cancelled, and the connection lost
 * if that helps nothing. doing: for the log
 * ret: result of the last one (PQclear it), may be NULL
 * err: the first failure */
MUST_CHECK enum err pg_wait(struct pg *p, int timeout_ms, const char *doing, PGresult **ret);
