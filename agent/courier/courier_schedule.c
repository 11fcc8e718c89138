/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier.h"

#define INTERVAL_S     5400u  /* 90 minutes. source: DESIGN section 9 */
#define INTERVAL_MAX_S 86400u /* a server may ask for a day, not for more */
#define BACKOFF_S      15u
#define BACKOFF_MAX_S  3600u
#define NETWORK_MS     5000
#define MORE_MS        2000

/* A part of span, evenly by chance. */
static int64_t share(int64_t span_ms, uint32_t random)
{
    return (int64_t)((uint64_t)span_ms * random >> 32);
}

static uint64_t bounded(uint64_t s)
{
    return s < INTERVAL_MAX_S ? s : INTERVAL_MAX_S;
}

void courier_schedule_done(struct courier_schedule *s, int64_t now_ms, uint64_t retry_after_s,
                           uint32_t random)
{
    int64_t wait = (int64_t)(retry_after_s ? bounded(retry_after_s) : INTERVAL_S) * 1000;
    s->failures = 0;
    s->not_before_ms = 0;
    s->due_ms = now_ms + wait - wait / 6 + share(wait / 3, random);
}

void courier_schedule_more(struct courier_schedule *s, int64_t now_ms, uint32_t random)
{
    s->failures = 0;
    s->not_before_ms = 0;
    s->due_ms = now_ms + MORE_MS / 2 + share(MORE_MS, random);
}

void courier_schedule_failed(struct courier_schedule *s, int64_t now_ms, uint64_t retry_after_s,
                             uint32_t random)
{
    unsigned doublings = s->failures < 16 ? s->failures : 16;
    uint64_t wait_s = (uint64_t)BACKOFF_S << doublings;
    int64_t wait = (int64_t)(wait_s < BACKOFF_MAX_S ? wait_s : BACKOFF_MAX_S) * 1000;
    int64_t least = (int64_t)bounded(retry_after_s) * 1000;
    int64_t go = wait / 2 + share(wait / 2, random);

    if (s->failures < UINT32_MAX)
        s->failures++;
    s->not_before_ms = least ? now_ms + least : 0;
    /* The crowd that a server sent away must not come back in one second either. */
    s->due_ms = now_ms + (go > least ? go : least + share(wait / 2, random));
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void courier_schedule_network(struct courier_schedule *s, int64_t now_ms, uint32_t random)
{
    int64_t soon = later(now_ms + 1000, s->not_before_ms) + share(NETWORK_MS, random);
    if (s->failures > 0 && s->due_ms != COURIER_NEVER && soon < s->due_ms)
        s->due_ms = soon;
}

void courier_schedule_wanted(struct courier_schedule *s, int64_t now_ms, bool person)
{
    s->due_ms = person ? now_ms : later(now_ms, s->not_before_ms);
}

long courier_schedule_patience_ms(const struct courier_schedule *s, bool person)
{
    return s->failures >= COURIER_TRIES && !person ? COURIER_LATER_MS : COURIER_PATIENCE_MS;
}
