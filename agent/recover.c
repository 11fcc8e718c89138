/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/recover.h"
#include "agent/mirror.h"
#include "agent/token_json.h"
#include "crypto/secret.h"
#include "formats/envelope.h"
#include <string.h>

/* Do two tokens of ours name one keyslot? Then neither can say what it is; leave both. */
static bool slot_is_shared(const struct header *h, int number)
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

/* What the cache knows of this key: true when we made it, or saw it proved before. A cache that does not even
 * know the volume was lost; then the header's word is taken (invariant 10, outage line O6). */
static bool is_known(struct agent *a, const struct header *h, const struct luks2_token *t,
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
    return is_known(a, h, t, &k) && k.slot == t->slot && k.count == t->count;
}

/* Did we make this token's keyslot, so that it may be destroyed? A pending token has not claimed its keyslot
 * yet; for the others, one that is no longer assigned was removed by somebody, and what has its number now is
 * not ours. One whose keyslot is not what was proved may be half wiped by us, or somebody's: the cache
 * decides. */
static bool owns_slot(struct agent *a, struct header *h, int number)
{
    const struct luks2_token *t = &h->luks.token[number];
    struct envelope e;
    if (!header_slot_fits(h, t->slot, t->count) || slot_is_shared(h, number) || !envelope_fits(t, &e))
        return false;
    if (t->state == LUKS2_TOKEN_PENDING)
        return !t->assigned && (memcmp(e.device, a->key.id, sizeof e.device) == 0 || cache_agrees(a, h, t));
    return t->assigned && (header_is_unchanged(h, t) || cache_agrees(a, h, t));
}

/* Its keyslot is there, and not ours to destroy: then the token stays, too. */
static bool hands_off(struct agent *a, struct header *h, int number)
{
    const struct luks2_token *t = &h->luks.token[number];
    return header_slot_fits(h, t->slot, t->count) && (t->assigned || t->state == LUKS2_TOKEN_PENDING) &&
           !owns_slot(a, h, number);
}

/* The keyslot goes first: while it exists, its envelope must be in the header (invariant 1). Copied values,
 * because every change reads the header again. keep: as header_destroy_slot() */
static enum err remove_slot_and_token(struct agent *a, struct header *h, int number, const struct guid *keep)
{
    const struct luks2_token t = h->luks.token[number];
    if (owns_slot(a, h, number))
        TRY(header_destroy_slot(h, &t.key_id, keep));
    return header_remove_token(h, number, &t.key_id);
}

static uint64_t time_of(const struct luks2_token *t)
{
    struct envelope e;
    return envelope_decode(t->envelope, t->envelope_len, &e) == ERR_OK ? e.time : 0;
}

/* Made on this computer, for this organisation? Decides only where the cache is lost. */
static bool is_from_here(const struct agent *a, const struct luks2_token *t)
{
    struct envelope e;
    return envelope_decode(t->envelope, t->envelope_len, &e) == ERR_OK &&
           memcmp(e.device, a->key.id, sizeof e.device) == 0 && mirror_is_sealed_to_us(a, &e);
}

static bool is_better(const struct agent *a, const struct luks2_token *t, const struct luks2_token *than)
{
    bool t_here = is_from_here(a, t), than_here = is_from_here(a, than);
    return t_here != than_here ? t_here : time_of(t) > time_of(than);
}

/* The proved key made last, this token aside; -1 when there is none. Only such a key may outlive another: one
 * whose keyslot was changed since it was opened, or that nobody here made, may open nothing (invariants 3,
 * 8). */
static int newest_proved(struct agent *a, struct header *h, int aside)
{
    int newest = -1;
    struct cache_key k;
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &h->luks.token[i];
        if (i != aside && t->used && (newest < 0 || is_better(a, t, &h->luks.token[newest])) &&
            is_known(a, h, t, &k) && header_is_proved(h, t))
            newest = i;
    }
    return newest;
}

static bool to_be_removed(struct agent *a, struct header *h, int number)
{
    const struct luks2_token *t = &h->luks.token[number];
    if (!t->used || slot_is_shared(h, number) || hands_off(a, h, number))
        return false;
    if (t->state == LUKS2_TOKEN_LIVE) /* somebody removed its keyslot: it opens nothing */
        return !t->assigned;
    /* we never write a pending one that is assigned */
    return t->state == LUKS2_TOKEN_PENDING ? !t->assigned : t->state == LUKS2_TOKEN_RETIRED;
}

/* token retired → keyslot destroyed → token removed */
static enum err retire(struct agent *a, struct header *h, const struct guid *key_id, const struct guid *keep)
{
    char json[TOKEN_JSON_MAX];
    TRY(header_reload(h));
    int number = header_find_token(h, key_id), kept = header_find_token(h, keep);
    if (number < 0 || hands_off(a, h, number))
        return ERR_OK; /* gone already, or not ours */
    if (kept < 0 || !header_is_proved(h, &h->luks.token[kept]))
        return problem_set(h->why, ERR_CONFLICT,
                           "volume %s: another program changed the new recovery key; the old one stays",
                           h->device);
    struct luks2_token t = h->luks.token[number];
    if (t.slot >= 0) { /* one whose keyslot somebody removed, and that names none, just goes */
        t.state = LUKS2_TOKEN_RETIRED;
        TRY(token_json_encode(&t, json));
        TRY(header_put_token(h, number, key_id, json, &number));
    }
    return remove_slot_and_token(a, h, number, keep);
}

/* The first failure and its sentence stay. */
static enum err first_of(struct header *h, enum err first, enum err e, struct problem *said)
{
    if (first == ERR_OK && e != ERR_OK)
        *said = *h->why;
    else
        *h->why = *said;
    return first == ERR_OK ? e : first;
}

static enum err retire_others(struct agent *a, struct header *h, const struct guid *keep, bool only_known)
{
    struct guid others[LUKS2_TOKENS], kept = *keep; /* keep may lie in the header that is read again */
    struct problem said = *h->why;
    struct cache_key k;
    unsigned n = 0;
    TRY(header_reload(h));
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &h->luks.token[i];
        if (t->used && t->state != LUKS2_TOKEN_PENDING && !guid_equal(&t->key_id, &kept) &&
            (!only_known || is_known(a, h, t, &k)))
            others[n++] = t->key_id;
    }
    enum err first = ERR_OK;
    for (unsigned i = 0; i < n; i++) /* one that cannot go does not keep the others */
        first = first_of(h, first, retire(a, h, &others[i], &kept), &said);
    return first;
}

enum err recover_retire_others(struct agent *a, struct header *h, const struct guid *keep)
{
    return retire_others(a, h, keep, false);
}

/* Several live keys: a rotation was interrupted. */
static enum err finish_rotation(struct agent *a, struct header *h)
{
    int newest = header_count_live(h) > 1 ? newest_proved(a, h, -1) : -1;
    if (newest < 0)
        return ERR_OK;
    const struct guid keep = h->luks.token[newest].key_id;
    return retire_others(a, h, &keep, true);
}

/* It was to go, but what should have taken its place is gone or changed: in use again, if it still is what
 * was proved. */
static enum err revive(struct agent *a, struct header *h, int number)
{
    char json[TOKEN_JSON_MAX], id[9];
    struct luks2_token t = h->luks.token[number];
    t.state = LUKS2_TOKEN_LIVE;
    if (!header_is_proved(h, &t))
        return ERR_OK;
    TRY(token_json_encode(&t, json));
    TRY(header_put_token(h, number, &t.key_id, json, &number));
    guid_short(&t.key_id, id);
    agent_say(a, "volume %s: key %s, which was to be replaced, is in use again", h->device, id);
    return ERR_OK;
}

/* Its keyslot is gone; the envelope is kept for ever all the same (invariant 10). */
static enum err remove_dead(struct agent *a, struct header *h, int number)
{
    const struct luks2_token t = h->luks.token[number];
    char id[9];
    TRY(cache_put_envelope(a->cache, &t.key_id, t.envelope, t.envelope_len));
    TRY(header_remove_token(h, number, &t.key_id));
    guid_short(&t.key_id, id);
    agent_say(a, "volume %s: key %s, whose keyslot another program removed, is removed", h->device, id);
    return ERR_OK;
}

static enum err remove_unfinished(struct agent *a, struct header *h, int number)
{
    if (h->luks.token[number].state == LUKS2_TOKEN_LIVE)
        return remove_dead(a, h, number);
    bool was_used = h->luks.token[number].state != LUKS2_TOKEN_PENDING;
    int other = was_used ? newest_proved(a, h, number) : -1;
    if (was_used && other < 0)
        return revive(a, h, number);
    const struct guid keep = was_used ? h->luks.token[other].key_id : (struct guid){0};
    char id[9];
    guid_short(&h->luks.token[number].key_id, id);
    TRY(remove_slot_and_token(a, h, number, was_used ? &keep : NULL));
    agent_say(a, "volume %s: key %s, which was not finished, is removed", h->device, id);
    return ERR_OK;
}

enum err recover_volume(struct agent *a, struct header *h)
{
    TRY(header_reload(h));
    if (h->luks.reencrypting)
        return ERR_OK;
    struct problem said = *h->why;
    enum err first = ERR_OK;
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (to_be_removed(a, h, i))
            first = first_of(h, first, remove_unfinished(a, h, i), &said);
    return first_of(h, first, finish_rotation(a, h), &said);
}
