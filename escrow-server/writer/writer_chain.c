/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The chain of a device: records that are missing, and one that went on twice. */
#include "escrow-server/writer/writer.h"
#include <string.h>

static bool has(struct batch *b, const struct record *r, uint64_t sequence)
{
    bool there = false;
    for (unsigned half = 0; half < STORE_HALVES && !there; half++)
        if (b->w->ops->has_sequence(b->w->store, half, r->device, r->incarnation, sequence, &there) != ERR_OK)
            return true; /* no accusation without a look */
    return there;
}

void writer_check_clone(struct batch *b, const struct taken *t, const struct store_known *before)
{
    const struct store_record *r = &t->r[0];
    if (memcmp(r->r.incarnation, before->incarnation, 16) == 0)
        return;
    if (has(b, &r->r, 0) && !has(b, &r->r, r->r.sequence))
        writer_flag(b, "clone", r);
}

static bool follows(const struct record *r, const struct store_known *last)
{
    return r->sequence == last->sequence + 1 && memcmp(r->incarnation, last->incarnation, 16) == 0;
}

void writer_check_gaps(struct batch *b, const struct pending *p, const struct taken *t,
                       struct store_known last)
{
    for (unsigned i = 0; i < t->n; i++) {
        const struct store_record *r = &t->r[i];
        if (p->half_err[writer_half_of(&r->r)] != ERR_OK)
            continue;
        if (r->r.sequence > 1 && !follows(&r->r, &last) && !has(b, &r->r, r->r.sequence - 1))
            writer_flag(b, "gap", r);
        last.sequence = r->r.sequence;
        memcpy(last.incarnation, r->r.incarnation, sizeof last.incarnation);
    }
}
