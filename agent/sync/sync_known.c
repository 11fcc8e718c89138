/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/records.h"
#include "agent/sync/sync_parts.h"
#include "agent/volume/rotate.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANEW "went_back" /* when new keys were wanted because of that */
#define HEARD                                                                                                \
    "known_heard" /* our last record and the one that the server named instead: their beginnings             \
                   */
#define DAY UINT64_C(86400)

/* err: NOT_FOUND (nothing was named since our last record) */
static enum err heard(struct agent *a, const uint8_t last[static 32], uint8_t ret[static SYNC_LAST])
{
    uint8_t pair[2 * SYNC_LAST];
    size_t len = 0;
    TRY(cache_get(a->cache, HEARD, pair, sizeof pair, &len));
    if (len != sizeof pair || memcmp(pair, last, SYNC_LAST) != 0)
        return ERR_NOT_FOUND;
    memcpy(ret, pair + SYNC_LAST, SYNC_LAST);
    return ERR_OK;
}

enum err sync_last(struct agent *a, uint8_t ret[static SYNC_LAST])
{
    uint8_t last[32], named[SYNC_LAST];
    TRY(records_last(a, last));
    enum err e = heard(a, last, named);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    memcpy(ret, e == ERR_OK ? named : last, SYNC_LAST);
    return ERR_OK;
}

/* It need not name the same one again. */
static enum err keep_heard(struct agent *a, const struct msg_span *name)
{
    uint8_t last[32], pair[2 * SYNC_LAST], told[SYNC_LAST];
    if (name->len < SYNC_LAST)
        return ERR_OK;
    enum err e = sync_last(a, told);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && memcmp(told, name->p, sizeof told) == 0))
        return ERR_OK;
    TRY(e);
    TRY(records_last(a, last));
    memcpy(pair, last, SYNC_LAST);
    memcpy(pair + SYNC_LAST, name->p, SYNC_LAST);
    return cache_set(a->cache, HEARD, pair, sizeof pair);
}

/* Does the server hold a record of this incarnation that this cache never made: a later one, or another one
 * at a sequence that was used again? */
static enum err is_old_copy(struct agent *a, const struct msg *m, uint64_t sequence, bool *ret)
{
    const struct msg_span *name = &m->sync_answer.known_name;
    enum err e = ERR_OK;
    if (m->sync_answer.known_sequence > 0 && name->len >= SYNC_LAST)
        e = cache_find_record(a->cache, name->p);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_NOT_FOUND || m->sync_answer.known_sequence > sequence;
    return ERR_OK;
}

/* The header went back with the cache, as far as anybody here can tell: a recovery password that was replaced
 * since then may be in use again, and the one that servers know as the newest may open nothing. Nothing signs
 * what a server says of our records, so no more than once a day. */
static enum err want_new_keys(struct agent *a)
{
    struct cache_volume *v = NULL;
    uint64_t now = (uint64_t)time(NULL), last = 0;
    struct cache_life l; /* of LUKS volumes */
    unsigned n = 0;
    enum err e = cache_get_u64(a->cache, ANEW, &last);
    bool due = e == ERR_NOT_FOUND || last > now || now - last >= DAY;
    if (e == ERR_OK || e == ERR_NOT_FOUND)
        e = due ? cache_volumes(a->cache, &v, &n) : ERR_OK;
    for (unsigned i = 0; e == ERR_OK && i < n; i++)
        if (v[i].state != VOLUME_PENDING && cache_get_life(a->cache, &v[i].uuid, &l) == ERR_OK)
            e = rotate_want(a, &v[i].uuid, KH_CAUSE_DRIFT,
                            "this computer's disk went back to an older state, and a recovery key that was "
                            "replaced may be in use again; rotate it");
    free(v);
    return e == ERR_OK && due ? cache_set_u64(a->cache, ANEW, now) : e;
}

static enum err start_anew(struct agent *a)
{
    struct record *r = calloc(1, sizeof *r);
    enum err e = r ? cache_begin(a->cache) : ERR_NOMEM;
    if (e == ERR_OK) {
        r->kind = RECORD_EVENT;
        r->event = EVENT_WENT_BACK;
        r->result = WENT_BACK_SERVER;
        r->event_time = (uint64_t)time(NULL);
        e = records_restart(a);
        if (e == ERR_OK)
            e = records_add(a, r, NULL);
        if (e == ERR_OK)
            e = want_new_keys(a);
        e = cache_end(a->cache, e);
    }
    free(r);
    return e;
}

enum err sync_take_known(struct agent *a, const struct msg *m, bool by_server)
{
    uint8_t incarnation[16];
    uint64_t sequence;
    bool old = false;
    TRY(records_position(a, incarnation, &sequence));
    if (m->sync_answer.known_incarnation.len >= SYNC_LAST &&
        memcmp(m->sync_answer.known_incarnation.p, incarnation, SYNC_LAST) == 0)
        TRY(is_old_copy(a, m, sequence, &old));
    if (old)
        return start_anew(a);
    return by_server ? keep_heard(a, &m->sync_answer.known_name) : ERR_OK;
}
