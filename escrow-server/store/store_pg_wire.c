/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/monotonic.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/store/store_pg.h"
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void pg_log(const struct pg *p, const char *doing, const char *state, const char *text)
{
    slog(SLOG_ERROR, "store", "half=%s doing=%s sqlstate=%s reason=\"%s\"", sql_pg_name[p->db.half], doing,
         state, text);
}

/* PostgreSQL, appendix "Error Codes": the first two characters are the class. */
enum err pg_error(const PGresult *r)
{
    static const struct {
        const char *state;
        enum err err;
    } table[] = {
        {"53100", ERR_FULL},    {"53200", ERR_NOMEM}, {"53", ERR_BUSY},     {"40", ERR_BUSY},
        {"55P03", ERR_BUSY},    {"57014", ERR_BUSY},  {"57P", ERR_OFFLINE}, {"08", ERR_OFFLINE},
        {"25006", ERR_OFFLINE}, /* it is a standby now */
        {"25P02", ERR_IO},      /* follows from what failed before */
        {"42501", ERR_DENIED},  {"28", ERR_DENIED},   {"58", ERR_IO},       {"XX", ERR_IO},
    };
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    if (state == NULL)
        return ERR_OFFLINE;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strncmp(state, table[i].state, strlen(table[i].state)) == 0)
            return table[i].err;
    return ERR_INTERNAL;
}

void pg_notice(void *arg, const PGresult *r)
{
    struct pg *p = arg;
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    if (p == NULL || severity == NULL || strcmp(severity, "WARNING") != 0)
        return;
    p->warned = true;
    slog(SLOG_WARN, "store", "half=%s sqlstate=%s warning=\"%s\"", sql_pg_name[p->db.half],
         state == NULL ? "" : state, text == NULL ? "" : text);
}

enum err pg_away(struct pg *p)
{
    if (p->again_ms > p->failed_ms + PG_ASKED_MS)
        p->again_ms = p->failed_ms + PG_ASKED_MS;
    return ERR_OFFLINE;
}

void pg_lose(struct pg *p, const char *reason)
{
    if (p->c == NULL)
        return;
    pg_log(p, "talk", "", reason);
    PQfinish(p->c);
    p->c = NULL;
    p->in_tx = false;
    p->posted = 0;
    pg_ahead_drop(&p->db);
    p->again_ms = 0;
}

struct wire {
    const char *value[QUERY_PARAMS];
    int len[QUERY_PARAMS], binary[QUERY_PARAMS];
    uint64_t number[QUERY_PARAMS];
    char text[QUERY_PARAMS][QUERY_TEXT];
};

static void put_param(struct wire *w, unsigned i, const struct query_param *p)
{
    w->binary[i] = 1;
    w->value[i] = p->p;
    w->len[i] = (int)p->len;
    if (p->kind == QUERY_U64) {
        w->number[i] = htobe64(p->number);
        w->value[i] = (const char *)&w->number[i];
        w->len[i] = sizeof w->number[i];
    }
    if (p->kind == QUERY_STRING) {
        size_t len = p->len;
        w->value[i] = query_utf8(p->p, &len, w->text[i]);
        w->len[i] = (int)len;
    }
}

void pg_name(const struct pg *p, enum sql which, char ret[static 24])
{
    if (p->prepared[which] > 0)
        snprintf(ret, 24, "k%u_%u", (unsigned)which, p->prepared[which]);
    else
        snprintf(ret, 24, "k%u", (unsigned)which);
}

enum err pg_post(struct pg *p, const struct query *q)
{
    struct wire w = {.len = {0}};
    char name[24];
    if (p->c == NULL)
        return pg_away(p);
    for (unsigned i = 0; i < q->n; i++)
        put_param(&w, i, &q->param[i]);
    pg_name(p, q->which, name);
    if (PQsendQueryPrepared(p->c, name, (int)q->n, w.value, w.len, w.binary, 1) != 1) {
        pg_lose(p, PQerrorMessage(p->c));
        return ERR_OFFLINE;
    }
    p->posted++;
    return ERR_OK;
}

/* Until a result can be read without waiting. */
static enum err await(struct pg *p, int64_t until_ms)
{
    while (PQisBusy(p->c) == 1) {
        int unsent = PQflush(p->c);
        int64_t left = until_ms - monotonic_ms();
        struct pollfd fd = {PQsocket(p->c), (short)(unsent == 1 ? POLLIN | POLLOUT : POLLIN), 0};
        if (left <= 0)
            return ERR_TIMEOUT;
        if (unsent < 0 || (poll(&fd, 1, (int)left) > 0 && PQconsumeInput(p->c) != 1))
            return ERR_OFFLINE;
    }
    return ERR_OK;
}

struct gather {
    unsigned seen; /* results, one for each statement */
    enum err err;
    PGresult *last;
};

static void take_result(struct pg *p, struct gather *g, PGresult *r, const char *doing)
{
    ExecStatusType status = PQresultStatus(r);
    bool bad = status == PGRES_FATAL_ERROR || status == PGRES_NONFATAL_ERROR;
    if (bad && g->err == ERR_OK) {
        const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        g->err = pg_error(r);
        pg_log(p, doing, state == NULL ? "" : state, text == NULL ? "" : text);
    }
    if (pg_ahead_give(p, g->seen, r)) {
        g->seen++;
        return;
    }
    g->seen++;
    if (bad || status == PGRES_PIPELINE_ABORTED || g->seen < p->posted) {
        PQclear(r);
        return;
    }
    PQclear(g->last);
    g->last = r;
}

/* Each statement's result is followed by NULL; a dead connection gives nothing but NULL. */
static enum err gather_all(struct pg *p, int64_t until_ms, const char *doing, struct gather *g)
{
    for (unsigned nulls = 0; nulls < 2;) {
        TRY(await(p, until_ms));
        PGresult *r = PQgetResult(p->c);
        if (r == NULL) {
            nulls++;
            continue;
        }
        nulls = 0;
        if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            return ERR_OK;
        }
        take_result(p, g, r, doing);
    }
    return ERR_OFFLINE;
}

enum err pg_wait(struct pg *p, int timeout_ms, const char *doing, PGresult **ret)
{
    struct gather g = {.err = ERR_OK};
    if (p->c == NULL)
        return ERR_OFFLINE;
    if (p->patient)
        timeout_ms = PG_PATIENT_MS;
    enum err e =
        PQpipelineSync(p->c) == 1 ? gather_all(p, monotonic_ms() + timeout_ms, doing, &g) : ERR_OFFLINE;
    if (e == ERR_TIMEOUT) {
        pg_cancel(p);
        e = gather_all(p, monotonic_ms() + PG_CANCEL_MS, doing, &g);
    }
    if (e == ERR_OK) {
        p->posted = 0;
        p->n_came = p->n_ahead; /* also what a failure before it left without one */
    }
    if (e == ERR_OK && g.err == ERR_OK && g.last == NULL && ret != NULL)
        e = ERR_IO;
    if (e == ERR_OK)
        e = g.err;
    else
        pg_lose(p, e == ERR_TIMEOUT ? "no answer in time" : PQerrorMessage(p->c));
    if (g.err == ERR_OFFLINE)
        pg_lose(p, "it takes no more work");
    if (e == ERR_OK && ret != NULL) {
        *ret = g.last;
        return ERR_OK;
    }
    PQclear(g.last);
    return e;
}
