/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/unnamed.h"
#include "agent/volume/retire.h"
#include <stdlib.h>

enum unnamed unnamed_slot(struct header *h, const struct cache_key *k)
{
    uint8_t now[32];
    if (header_find_token(h, &k->key_id) >= 0 || header_is_named(h, k->slot) ||
        !header_slot_fits(h, k->slot, k->count))
        return UNNAMED_NONE;
    if (k->state == KEY_PLANNED)
        return UNNAMED_OURS;
    bool same = k->verified && header_fingerprint(h, (unsigned)k->slot, now) == ERR_OK &&
                cr_equal(now, k->fingerprint, sizeof now);
    if (same)
        return UNNAMED_OURS;
    return k->state == KEY_RETIRED ? UNNAMED_NONE
                                   : UNNAMED_UNSURE; /* its number was given to somebody else */
}

/* R of DESIGN section 6 stays until N is receipted, token or not. */
static bool is_last_receipted(struct agent *a, const struct cache_key *k, const struct guid *keep)
{
    struct cache_key n = {.receipted = false};
    bool known = cache_get_key(a->cache, keep, &n) == ERR_OK;
    return (k->state == KEY_LIVE || k->state == KEY_UNVERIFIED) && k->receipted && !k->spent &&
           !(known && n.receipted);
}

static enum err remove_one(struct agent *a, struct header *h, const struct cache_key *k,
                           const struct guid *keep)
{
    char id[9];
    bool was_used = k->state != KEY_PLANNED;
    if (unnamed_slot(h, k) != UNNAMED_OURS || !keep || (was_used && is_last_receipted(a, k, keep)))
        return ERR_OK;
    TRY(header_destroy_unnamed(h, k->slot, k->count, was_used ? k->fingerprint : NULL, keep));
    guid_short(&k->key_id, id);
    agent_say(a, "volume %s: keyslot %d, of key %s, whose token another program removed, is removed",
              h->device, k->slot, id);
    return ERR_OK;
}

enum err unnamed_remove(struct agent *a, struct header *h)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    struct problem said = *h->why;
    unsigned n = 0;
    enum err first = keys ? cache_keys(a->cache, &h->luks.uuid, keys, &n) : ERR_NOMEM;
    int newest = retire_newest(a, h, -1);
    struct guid keep = {{0}}; /* a copy: every change reads the header again */
    if (newest >= 0)
        keep = h->luks.token[newest].key_id;
    for (unsigned i = 0; i < n; i++)
        first = retire_first(h, first, remove_one(a, h, &keys[i], newest < 0 ? NULL : &keep), &said);
    free(keys);
    return first;
}
