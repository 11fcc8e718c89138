/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/volume_try.h"
#include <pthread.h>
#include <sched.h>

/* One group on its way; all but t under lock. */
struct group {
    struct volume_try *t;
    pthread_mutex_t lock;
    unsigned next, end;
    unsigned winner; /* end: none yet */
    struct secret found;
};

static unsigned cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < 1 ? 1 : n > TRY_THREADS ? TRY_THREADS : (unsigned)n;
}

/* The next candidate that could still win; false: there is none. What was taken earlier comes earlier in
 * order, so once one has won nothing new is begun, and what still runs may win over it. */
static bool take(struct group *g, unsigned *ret)
{
    pthread_mutex_lock(&g->lock);
    bool got = g->winner == g->end && g->next < g->end;
    if (got)
        *ret = g->next++;
    pthread_mutex_unlock(&g->lock);
    return got;
}

static void *run(void *arg)
{
    struct group *g = arg;
    SECRET(s);
    for (unsigned i; take(g, &i);) {
        struct volume_candidate *c = &g->t->candidate[i];
        c->err = g->t->attempt(g->t->ctx, c->protector, &s);
        pthread_mutex_lock(&g->lock);
        if (c->err == ERR_OK && i < g->winner) {
            g->winner = i;
            g->found = s;
        }
        pthread_mutex_unlock(&g->lock);
    }
    return NULL;
}

/* This thread works, too; where no more can be had it works alone. */
static void run_group(struct group *g)
{
    pthread_t thread[TRY_THREADS];
    unsigned n = 0, want = cores();
    if (want > g->end - g->next)
        want = g->end - g->next;
    while (n + 1 < want && pthread_create(&thread[n], NULL, run, g) == 0)
        n++;
    (void)run(g);
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

enum err volume_try(struct volume_try *t, struct secret *ret, unsigned *ret_which)
{
    for (unsigned i = 0; i < t->n; i++)
        t->candidate[i].err = ERR_BUSY;
    for (unsigned i = 0, end; i < t->n; i = end) {
        for (end = i + 1; end < t->n && t->candidate[end].group == t->candidate[i].group;)
            end++;
        struct group g = {t, PTHREAD_MUTEX_INITIALIZER, i, end, end, {.len = 0}};
        run_group(&g);
        if (g.winner < end) {
            *ret = g.found;
            *ret_which = g.winner;
            secret_wipe(&g.found);
            return ERR_OK;
        }
    }
    return t->n ? ERR_AUTH : ERR_NOT_FOUND;
}
