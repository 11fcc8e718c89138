/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/owned.h"
#include "agent/volume/seal.h"
#include "formats/envelope.h"
#include <string.h>

bool owned_is_shared(const struct header *h, int number)
{
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (i != number && h->luks.token[i].used && h->luks.token[i].slot == h->luks.token[number].slot &&
            h->luks.token[i].count == h->luks.token[number].count)
            return true;
    return false;
}

/* Does the envelope belong to this token? One that was copied to another does not. (The volume may have got a
 * new UUID since.) */
static bool envelope_fits(const struct luks2_token *t, struct envelope *ret)
{
    return envelope_decode(t->envelope, t->envelope_len, ret) == ERR_OK &&
           guid_equal(&ret->key_id, &t->key_id);
}

bool owned_is_known(struct agent *a, const struct header *h, const struct luks2_token *t,
                    struct cache_key *ret)
{
    struct cache_volume v;
    enum err e = cache_get_key(a->cache, &t->key_id, ret);
    if (e == ERR_OK)
        return ret->verified != 0 || ret->state == KEY_PLANNED;
    *ret = (struct cache_key){.volume = h->luks.uuid, .slot = t->slot, .count = t->count};
    return e == ERR_NOT_FOUND && cache_get_volume(a->cache, &h->luks.uuid, &v) == ERR_NOT_FOUND;
}

static bool cache_agrees(struct agent *a, const struct header *h, const struct luks2_token *t)
{
    struct cache_key k;
    return owned_is_known(a, h, t, &k) && k.slot == t->slot && k.count == t->count;
}

/* A pending token has not claimed its keyslot yet; for the others, one that is no longer assigned was removed
 * by somebody, and what has its number now is not ours. One whose keyslot is not what was proved may be half
 * wiped by us, or somebody's: the cache decides. */
bool owned_slot(struct agent *a, struct header *h, int number)
{
    const struct luks2_token *t = &h->luks.token[number];
    struct envelope e;
    if (!header_slot_fits(h, t->slot, t->count) || owned_is_shared(h, number) || !envelope_fits(t, &e))
        return false;
    if (t->state == LUKS2_TOKEN_PENDING)
        return !t->assigned && (memcmp(e.device, a->key.id, sizeof e.device) == 0 ||
                                (seal_is_to_us(a, &e) && cache_agrees(a, h, t)));
    return t->assigned && (header_is_unchanged(h, t) || cache_agrees(a, h, t));
}

bool owned_hands_off(struct agent *a, struct header *h, int number)
{
    const struct luks2_token *t = &h->luks.token[number];
    return header_slot_fits(h, t->slot, t->count) && (t->assigned || t->state == LUKS2_TOKEN_PENDING) &&
           !owned_slot(a, h, number);
}

bool owned_is_from_here(const struct agent *a, const struct luks2_token *t)
{
    struct envelope e;
    return envelope_decode(t->envelope, t->envelope_len, &e) == ERR_OK &&
           memcmp(e.device, a->key.id, sizeof e.device) == 0 && seal_is_to_us(a, &e);
}
