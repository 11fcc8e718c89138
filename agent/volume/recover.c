/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/recover.h"
#include "agent/volume/owned.h"
#include "agent/volume/retire.h"
#include "agent/volume/token_json.h"

static bool to_be_removed(struct agent *a, struct header *h, int number)
{
    const struct luks2_token *t = &h->luks.token[number];
    if (!t->used || owned_is_shared(h, number) || owned_hands_off(a, h, number))
        return false;
    if (t->state == LUKS2_TOKEN_LIVE) /* somebody removed its keyslot: it opens nothing */
        return !t->assigned;
    /* we never write a pending one that is assigned */
    return t->state == LUKS2_TOKEN_PENDING ? !t->assigned : t->state == LUKS2_TOKEN_RETIRED;
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

/* Another program took the keyslot from its token (cryptsetup token unassign), and the keyslot is what it
 * was. */
static bool still_opens(struct header *h, int number)
{
    struct luks2_token t = h->luks.token[number];
    t.assigned = true;
    return header_is_proved(h, &t);
}

static enum err assign_again(struct agent *a, struct header *h, int number)
{
    char json[TOKEN_JSON_MAX], id[9];
    struct luks2_token t = h->luks.token[number];
    t.assigned = true;
    TRY(token_json_encode(&t, json));
    TRY(header_put_token(h, number, &t.key_id, json, &number));
    guid_short(&t.key_id, id);
    agent_say(a, "volume %s: key %s has its keyslot again, which another program took from it", h->device,
              id);
    return ERR_OK;
}

static enum err remove_unfinished(struct agent *a, struct header *h, int number)
{
    if (h->luks.token[number].state == LUKS2_TOKEN_LIVE)
        return still_opens(h, number) ? assign_again(a, h, number) : remove_dead(a, h, number);
    bool was_used = h->luks.token[number].state != LUKS2_TOKEN_PENDING;
    int other = was_used ? retire_newest(a, h, number) : -1;
    if (was_used && other < 0)
        return revive(a, h, number);
    const struct guid keep = was_used ? h->luks.token[other].key_id : (struct guid){0};
    char id[9];
    guid_short(&h->luks.token[number].key_id, id);
    TRY(retire_remove(a, h, number, was_used ? &keep : NULL));
    agent_say(a, "volume %s: key %s, which was not finished, is removed", h->device, id);
    return ERR_OK;
}

/* The header says it, too: with the cache lost, this is the key that a help desk can read back. */
static enum err mark_receipted(struct header *h, int number)
{
    char json[TOKEN_JSON_MAX];
    struct luks2_token t = h->luks.token[number];
    t.receipted = true;
    TRY(token_json_encode(&t, json));
    return header_put_token(h, number, &t.key_id, json, &number);
}

static bool is_unmarked(struct agent *a, const struct header *h, int number)
{
    const struct luks2_token *t = &h->luks.token[number];
    struct cache_key k;
    return header_is_live(h, t) && !t->receipted && cache_get_key(a->cache, &t->key_id, &k) == ERR_OK &&
           k.receipted;
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
            first = retire_first(h, first, remove_unfinished(a, h, i), &said);
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (is_unmarked(a, h, i))
            first = retire_first(h, first, mark_receipted(h, i), &said);
    return retire_first(h, first, retire_settled(a, h, false), &said);
}
