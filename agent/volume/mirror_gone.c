/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys of the cache that no live token names any more: gone, or only their tokens are. */
#include "agent/state/records.h"
#include "agent/volume/mirror_run.h"
#include "agent/volume/unnamed.h"
#include <stdlib.h>
#include <time.h>

enum err mirror_returned(struct mirror *m, struct cache_key *k)
{
    bool news = k->state == KEY_RETIRED;
    m->restored = true;
    k->state = KEY_RETURNED;
    if (!news)
        return ERR_OK;
    if (k->spent)
        TRY(mirror_expose(m, &k->key_id));
    return mirror_drift(m, DRIFT_RETURNED, &k->key_id);
}

static enum err add_retired(struct mirror *m, const struct cache_key *k)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_EVENT;
    r->event = EVENT_RETIRED;
    r->key_id = k->key_id;
    r->volume = k->volume;
    r->event_time = (uint64_t)time(NULL);
    enum err e = records_add(m->a, r, NULL);
    free(r);
    return e;
}

/* A key of the cache that is no longer in use: replaced by a later one, or removed by somebody. */
static enum err gone_key(struct mirror *m, struct cache_key *k)
{
    bool was_used = k->state != KEY_PLANNED, replaced = m->n_good && m->newest_time >= k->made;
    k->state = KEY_RETIRED;
    TRY(cache_put_key(m->a->cache, k));
    if (!was_used)
        return ERR_OK;
    if (replaced)
        return records_add_rotated(m->a, k, &m->newest);
    TRY(add_retired(m, k));
    return mirror_drift(m, DRIFT_REMOVED, &k->key_id);
}

/* Its token is gone and its keyslot is not: whoever knows the password can still open the volume, so it is
 * not gone, and no server is told so, until the keyslot is. */
static enum err unnamed_key(struct mirror *m, struct cache_key *k, enum unnamed how)
{
    uint8_t before = k->state;
    if (before == KEY_PLANNED) /* start-up removes it */
        return ERR_OK;
    m->n_left += how == UNNAMED_OURS;
    m->n_unsure += how == UNNAMED_UNSURE;
    if (before == KEY_RETIRED)
        TRY(mirror_returned(m, k));
    else if (before == KEY_LIVE)
        k->state = KEY_UNVERIFIED;
    if (before == KEY_LIVE)
        TRY(mirror_drift(m, DRIFT_UNNAMED, &k->key_id));
    return cache_put_key(m->a->cache, k);
}

static enum err absent_key(struct mirror *m, struct cache_key *k)
{
    enum unnamed how = unnamed_slot(m->h, k);
    if (how != UNNAMED_NONE)
        return unnamed_key(m, k, how);
    return k->state == KEY_RETIRED ? ERR_OK : gone_key(m, k);
}

/* Its token is gone, or it is a live one whose keyslot somebody removed or exchanged. */
static bool is_gone(const struct header *h, const struct guid *key_id)
{
    int n = header_find_token(h, key_id);
    return n < 0 || (h->luks.token[n].state == LUKS2_TOKEN_LIVE && !header_is_live(h, &h->luks.token[n]));
}

enum err mirror_gone(struct mirror *m)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    unsigned n = 0;
    if (!keys)
        return ERR_NOMEM;
    enum err e = cache_keys(m->a->cache, &m->h->luks.uuid, keys, &n);
    for (unsigned i = 0; e == ERR_OK && i < n; i++)
        if (is_gone(m->h, &keys[i].key_id))
            e = absent_key(m, &keys[i]);
    free(keys);
    return e;
}
