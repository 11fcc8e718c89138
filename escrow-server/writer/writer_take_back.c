/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/writer/writer.h"
#include <stdio.h>

#define STEP 256 /* orders in one go: whoever asks comes again, and others wait no longer than that */

/* That the vault has a person's word on it: it came by the web workers, a second after the word. */
static bool is_stopped(const struct writer_state *w, uint64_t loss)
{
    const struct msg_losses *l = &w->uncertain.losses;
    for (unsigned i = 0; i < l->n; i++)
        if (l->item[i].mark == loss)
            return l->item[i].stopped;
    return false;
}

/* The next loss of our log behind a mark. */
static uint64_t next_mark(const struct writer_state *w, uint64_t after)
{
    const struct msg_losses *l = &w->uncertain.losses;
    uint64_t next = INT64_MAX;
    for (unsigned i = 0; i < l->n; i++)
        if (l->item[i].mark > after && l->item[i].mark < next)
            next = l->item[i].mark;
    return next;
}

/* Those of a log that was replaced, or of another server: nobody here can say that they are not wanted. They
 * stand between the marks that we know. */
static enum err count_alien(struct batch *b, uint64_t *ret)
{
    uint64_t all = 0, some;
    for (uint64_t after = 0, next; after < INT64_MAX; after = next) {
        next = next_mark(b->w, after);
        TRY(b->w->ops->loss_count(b->w->store, after, next, &some));
        all += some;
    }
    *ret = all;
    return ERR_OK;
}

static enum err take_some(struct batch *b, uint64_t loss, struct msg_taken_back *ret)
{
    static struct store_loss_order order[STEP];
    unsigned n = 0;
    TRY(b->w->ops->loss_orders(b->w->store, loss, STEP, order, &n));
    for (unsigned i = 0; i < n; i++) {
        TRY(b->w->ops->take_back(b->w->store, &order[i]));
        ret->gone += order[i].gone;
    }
    ret->n = n;
    ret->more = n == STEP;
    return ret->more ? ERR_OK : count_alien(b, &ret->alien);
}

static enum err take_back(struct batch *b, uint64_t loss, struct msg_taken_back *ret)
{
    TRY(batch_need(b, STORE_RECOVERY));
    writer_seen_store(b, true); /* who was here may have his orders */
    TRY(b->w->ops->mark(b->w->store, STORE_RECOVERY));
    return batch_unmark(b, STORE_RECOVERY, take_some(b, loss, ret));
}

void writer_take_back(struct batch *b, struct pending *p, uint64_t loss)
{
    bool stopped = is_stopped(b->w, loss);
    p->err = stopped ? take_back(b, loss, &p->taken_back) : ERR_BUSY;
    if (p->err != ERR_OK)
        snprintf(p->detail, sizeof p->detail, "%s",
                 stopped ? "The orders cannot be taken back now; try again."
                         : "The writer has not heard yet that the rotation of this loss was stopped.");
}
