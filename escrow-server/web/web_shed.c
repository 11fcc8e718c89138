/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Too much at once: who brings a recovery password is served, who only says hello comes back later. Askers
 * are spread over some minutes, so that they do not come back together. */
#include "escrow-server/process/metrics.h"
#include "escrow-server/web/web.h"
#include <stdlib.h>

#define BACK_FIRST_S 30
#define BACK_RANGE_S 270

bool web_shed(struct web *w, bool escrow)
{
    uint64_t limit = escrow ? WEB_WAITING / 2 : w->child.conf.shed_waiting;
    if (w->n_waiting < limit)
        return false;
    metrics_add(METRIC_SHED + escrow, 1);
    return true;
}

unsigned web_shed_retry_s(bool escrow)
{
    return escrow ? 5 + arc4random_uniform(BACK_FIRST_S) : BACK_FIRST_S + arc4random_uniform(BACK_RANGE_S);
}

/* A whole fleet that a store has lost would send everything at once; so many in a second are asked, and the
 * others at a later sync. */
bool web_may_ask(struct web *w)
{
    bool may = w->n_asked < w->child.conf.asks_per_second;
    w->n_asked += may;
    metrics_add(METRIC_ASKED + !may, 1);
    return may;
}
