/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/errand.h"

#define STEP 4096u

void errand_patience_start(struct errand_patience *p, int64_t now_ms)
{
    p->counted = 0;
    p->due_ms = now_ms + p->base_ms;
}

void errand_patience_moved(struct errand_patience *p, int64_t now_ms, uint64_t moved)
{
    if (moved < p->counted || moved - p->counted < STEP)
        return;
    p->counted = moved;
    p->due_ms = now_ms + p->base_ms;
}

int64_t errand_patience_left(const struct errand_patience *p, int64_t now_ms)
{
    int64_t due = p->due_ms < p->end_ms ? p->due_ms : p->end_ms;
    return due > now_ms ? due - now_ms : 0;
}
