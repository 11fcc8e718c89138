/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync/sync_clock.h"
#include "agent/state/records.h"
#include <stdlib.h>

#define OFF       "clock_off"      /* at the last sync; two's complement */
#define REPORTED  "clock_reported" /* in the last record about it */
#define REPEAT_MS (6ll * 3600 * 1000)

static bool is_large(int64_t s)
{
    return s > SYNC_CLOCK_OFF_S || s < -SYNC_CLOCK_OFF_S;
}

static enum err get(struct agent *a, const char *name, int64_t *ret)
{
    uint64_t v = 0;
    TRY(cache_get_u64(a->cache, name, &v));
    *ret = (int64_t)v;
    return ERR_OK;
}

static enum err put(struct agent *a, const char *name, int64_t v)
{
    return is_large(v) ? cache_set_u64(a->cache, name, (uint64_t)v) : cache_unset(a->cache, name);
}

static enum err add_event(struct agent *a, uint64_t server, int64_t off)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_EVENT;
    r->event = EVENT_CLOCK;
    r->event_time = server;
    enum err e = cache_begin(a->cache);
    if (e == ERR_OK && (e = records_add(a, r, NULL)) == ERR_OK)
        e = put(a, REPORTED, off);
    e = cache_end(a->cache, e);
    free(r);
    return e;
}

enum err sync_clock_take(struct agent *a, uint64_t server, uint64_t device, int64_t now_ms)
{
    int64_t off, reported = 0, change;
    if (server == 0 || server > INT64_MAX / 4 || device > INT64_MAX / 4)
        return ERR_OK; /* no time at all */
    off = (int64_t)server - (int64_t)device;
    TRY(put(a, OFF, off));
    enum err e = get(a, REPORTED, &reported);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    change = off - reported;
    if (!is_large(change) || (a->clock_said_ms && now_ms - a->clock_said_ms < REPEAT_MS))
        return ERR_OK;
    TRY(add_event(a, server, off));
    a->clock_said_ms = now_ms;
    return ERR_OK;
}

enum err sync_clock_get(struct agent *a, int64_t *ret)
{
    return get(a, OFF, ret);
}
