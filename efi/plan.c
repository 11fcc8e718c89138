/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/plan.h"
#include "formats/names.h"

/* A live one opened once already. */
static int rank(const struct luks2_token *t)
{
    return t->state == LUKS2_TOKEN_LIVE ? 0 : t->state == LUKS2_TOKEN_PENDING ? 1 : 2;
}

static bool comes_before(const struct luks2_token *a, const struct luks2_token *b)
{
    struct envelope ea, eb;
    if (a->state != b->state)
        return rank(a) < rank(b);
    if (envelope_decode(a->envelope, a->envelope_len, &ea) != ERR_OK ||
        envelope_decode(b->envelope, b->envelope_len, &eb) != ERR_OK)
        return false;
    return ea.time < eb.time;
}

/* A token is written before its keyslot, so there may be none yet. */
static bool has_slot(const struct luks2 *l, const struct luks2_token *t)
{
    return t->used && t->slot >= 0 && t->slot < LUKS2_SLOTS && l->slot[t->slot].used;
}

unsigned plan_keys(const struct luks2 *l, unsigned ret_key[static LUKS2_TOKENS])
{
    unsigned n = 0;
    for (unsigned t = 0; t < LUKS2_TOKENS; t++) {
        if (!has_slot(l, &l->token[t]))
            continue;
        unsigned at = n++;
        for (; at > 0 && comes_before(&l->token[t], &l->token[ret_key[at - 1]]); at--)
            ret_key[at] = ret_key[at - 1];
        ret_key[at] = t;
    }
    return n;
}

bool plan_is_retired(const struct luks2 *l, const unsigned *key, unsigned n_keys)
{
    return n_keys > 0 && l->token[key[0]].state == LUKS2_TOKEN_RETIRED;
}

void plan_init(struct plan *p, const struct luks2 *l, const unsigned *key, unsigned n_keys)
{
    *p = (struct plan){.luks = l, .key = key, .n_keys = n_keys, .left = PLAN_BUDGET};
}

/* PBKDF2 runs its count once for each digest-sized block of output. */
static uint64_t pbkdf2_cost(uint8_t hash, uint32_t iterations, uint32_t len)
{
    size_t size = cr_hash_size(hash);
    return size ? (uint64_t)iterations * ((len + size - 1) / size) : 0;
}

static uint64_t slot_cost(const struct luks2_slot *s)
{
    if (s->kdf == LUKS2_PBKDF2)
        return pbkdf2_cost(s->hash, s->iterations, s->area_key_size);
    return (uint64_t)s->iterations * s->memory_kib * PLAN_ARGON2_KIB;
}

/* Take a slot that is not done when it can be tried at all and within what is left. */
static bool take(struct plan *p, unsigned slot)
{
    const struct luks2_slot *s = &p->luks->slot[slot];
    const struct luks2_digest *d = &p->luks->digest[0];
    /* a slot of another digest opens an old or a future volume key, or none that is in use */
    if (s->digest != 0 || (p->done | p->too_slow) >> slot & 1 || !s->used || !s->supported)
        return false;
    uint64_t cost = slot_cost(s) + pbkdf2_cost(d->hash, d->iterations, d->value_len);
    if (cost > p->left) {
        p->too_slow |= 1u << slot;
        return false;
    }
    p->left -= cost;
    p->done |= 1u << slot;
    return true;
}

static bool next_of_others(struct plan *p, bool argon2, unsigned *ret_slot, bool *ret_recovery)
{
    for (unsigned slot = 0; slot < LUKS2_SLOTS; slot++) {
        if ((p->luks->slot[slot].kdf != LUKS2_PBKDF2) != argon2 || !take(p, slot))
            continue;
        *ret_slot = slot;
        *ret_recovery = false;
        return true;
    }
    return false;
}

bool plan_next(struct plan *p, unsigned *ret_slot, bool *ret_recovery)
{
    for (unsigned i = 0; i < p->n_keys; i++) {
        const struct luks2_token *t = &p->luks->token[p->key[i]];
        /* a token that names an expensive slot names none of ours */
        if (!has_slot(p->luks, t) || p->luks->slot[t->slot].kdf != LUKS2_PBKDF2 ||
            p->luks->slot[t->slot].iterations > KH_PBKDF2_MAX || !take(p, (unsigned)t->slot))
            continue;
        *ret_slot = (unsigned)t->slot;
        *ret_recovery = true;
        return true;
    }
    return next_of_others(p, false, ret_slot, ret_recovery) ||
           next_of_others(p, true, ret_slot, ret_recovery);
}
