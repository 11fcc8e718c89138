/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/writer/writer.h"
#include <stdio.h>
#include <string.h>

/* The log and the store tell two stories: the log was shortened or put back, or a web worker lied. */
static void contradicted(struct batch *b, const struct msg_entry *m)
{
    struct store_record r = {.received_us = writer_now_us()};
    char text[sizeof m->chain + 32];
    snprintf(text, sizeof text, "%s %llu", m->chain, (unsigned long long)m->n);
    slog(
        SLOG_ERROR, "audit",
        "contradiction=1 chain=%s n=%llu reason=\"another disclosure has this number in the store; the audit "
        "log was replaced or shortened\"",
        m->chain, (unsigned long long)m->n);
    metrics_flag("audit");
    memcpy(r.r.device, m->device, sizeof r.r.device);
    r.r.sequence = m->n;
    if (cr_sha256(text, strlen(text), r.name) != ERR_OK ||
        b->w->ops->flag_put(b->w->store, "audit", &r) != ERR_OK)
        slog(SLOG_WARN, "flag", "kind=audit not-stored=1");
}

/* The order follows from the disclosure, and never from whether its number is new: a shortened log would
 * give numbers a second time. */
static enum err store_entry(struct batch *b, struct pending *p, const struct msg_entry *m)
{
    bool is_new = false;
    enum err e = b->w->ops->disclosed_put(b->w->store, m, &is_new);
    if (e == ERR_CONFLICT)
        contradicted(b, m);
    else
        TRY(e);
    uint64_t now = writer_now(); /* the log is told again, whole, after years, and a web worker may lie */
    const struct order_cause cause = {.disclosed = m->time < now ? m->time : now};
    /* of a clock that was ahead (a desk's): ordered when it came; each telling would be a later disclosure */
    if (m->time <= now || is_new || e == ERR_CONFLICT)
        TRY(writer_order_rotation(b, m->device, &m->key_id, &cause));
    return b->w->ops->command_open(b->w->store, m->device, &m->key_id, &p->order_open);
}

void writer_disclosed(struct batch *b, struct pending *p, const struct msg_entry *m)
{
    p->err = batch_need(b, STORE_RECOVERY);
    if (p->err == ERR_OK)
        p->err = b->w->ops->mark(b->w->store, STORE_RECOVERY);
    if (p->err == ERR_OK)
        p->err = batch_unmark(b, STORE_RECOVERY, store_entry(b, p, m));
    if (p->err != ERR_OK)
        snprintf(p->detail, sizeof p->detail, "The order to rotate the key cannot be stored now.");
}
