/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Questions that are asked before anybody waits for their answers: many of them share one turn to the server
 * and back, which takes longer than to answer one. */
#include "escrow-server/store/store_pg.h"
#include <string.h>

static bool is_for(const struct pg_ahead *a, const struct query *q)
{
    return a->which == q->which && q->n > 0 && q->param[0].len == sizeof a->key &&
           memcmp(a->key, q->param[0].p, sizeof a->key) == 0;
}

static void forget(struct pg_ahead *a)
{
    PQclear(a->result);
    a->result = NULL;
    a->which = SQL_COUNT;
}

void pg_ahead_drop(struct db *d)
{
    struct pg *p = pg_of(d);
    for (unsigned i = 0; i < p->n_ahead; i++)
        forget(&p->ahead[i]);
    p->n_ahead = p->n_came = p->ahead_at = 0;
}

/* They are taken in the order in which they were asked, as a rule. NULL: there is none */
static struct pg_ahead *find(struct pg *p, const struct query *q)
{
    for (unsigned i = 0; i < p->n_ahead; i++) {
        unsigned at = (p->ahead_at + i) % p->n_ahead;
        if (!is_for(&p->ahead[at], q))
            continue;
        p->ahead_at = at;
        return &p->ahead[at];
    }
    return NULL;
}

/* Those that came and were taken, or are wanted by nobody any more, leave their places. */
static void close_ranks(struct pg *p)
{
    unsigned n = 0, came = 0;
    for (unsigned i = 0; i < p->n_ahead; i++) {
        if (i < p->n_came && p->ahead[i].which == SQL_COUNT)
            continue;
        came += i < p->n_came;
        p->ahead[n++] = p->ahead[i];
    }
    p->n_ahead = n;
    p->n_came = came;
    p->ahead_at = 0;
}

unsigned pg_room(struct db *d)
{
    struct pg *p = pg_of(d);
    if (p->n_ahead > PG_AHEAD / 2)
        close_ranks(p);
    return PG_AHEAD - p->n_ahead;
}

static enum err keep(struct pg *p, const struct query *q)
{
    if (pg_room(&p->db) == 0)
        return ERR_BUSY;
    struct pg_ahead *a = &p->ahead[p->n_ahead];
    *a = (struct pg_ahead){.which = q->which, .place = p->posted};
    memcpy(a->key, q->param[0].p, sizeof a->key);
    TRY(pg_post(p, q));
    p->n_ahead++;
    return ERR_OK;
}

void pg_ahead(struct db *d, const struct query *q)
{
    struct pg *p = pg_of(d);
    if (p->c == NULL || q->n == 0 || q->param[0].len != 32)
        return;
    struct pg_ahead *older = find(p, q);
    if (older != NULL)
        forget(older);
    if (keep(p, q) != ERR_OK)
        return; /* whoever asks again hears why */
}

/* One record may be there twice: each has an answer of its own. */
enum err pg_post_ahead(struct db *d, const struct query *q)
{
    return keep(pg_of(d), q);
}

bool pg_ahead_give(struct pg *p, unsigned place, PGresult *r)
{
    struct pg_ahead *a = &p->ahead[p->n_came];
    if (p->n_came == p->n_ahead || a->place != place)
        return false;
    p->n_came++;
    if (a->which == SQL_COUNT || PQresultStatus(r) != PGRES_TUPLES_OK)
        return false;
    a->result = r;
    return true;
}

enum err pg_ahead_take(struct pg *p, const struct query *q, PGresult **ret)
{
    struct pg_ahead *a = find(p, q);
    if (a == NULL)
        return ERR_NOT_FOUND;
    if (a >= &p->ahead[p->n_came])
        TRY(pg_wait(p, PG_WAIT_MS, q->doing, NULL));
    if (a->result == NULL)
        return ERR_NOT_FOUND;
    *ret = a->result;
    a->result = NULL;
    a->which = SQL_COUNT;
    return ERR_OK;
}
