/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/mirror.h"
#include "agent/state/records.h"
#include "agent/volume/mirror_run.h"
#include "agent/volume/owned.h"
#include "agent/volume/seal.h"
#include "crypto/secret.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void text_copy(char *ret, size_t cap, const char *from)
{
    size_t len = strlen(from);
    len = len < cap ? len : cap - 1;
    memcpy(ret, from, len);
    ret[len] = 0;
}

static enum err load_volume(struct mirror *m)
{
    struct header *h = m->h;
    enum err e = cache_get_volume(m->a->cache, &h->luks.uuid, &m->v);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    m->known = e == ERR_OK;
    e = cache_get_life(m->a->cache, &h->luks.uuid, &m->life);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    m->life.uuid = h->luks.uuid;
    m->v.uuid = h->luks.uuid;
    text_copy(m->v.device, sizeof m->v.device, h->device);
    const char *slash = strrchr(h->device, '/');
    text_copy(m->v.label, sizeof m->v.label,
              h->luks.label[0] ? h->luks.label
              : slash          ? slash + 1
                               : h->device);
    return ERR_OK;
}

/* Unchanged since it was opened with the sealed bytes? Invariant 8. What the cache saw proved counts, not
 * what the token says now; the token's word is taken when this keeper wrote it, or when the cache was lost.
 */
static bool still_verified(struct mirror *m, const struct luks2_token *t, const struct cache_key *k)
{
    uint8_t now[32];
    if (k->state == 0 ? !m->known : k->state == KEY_PLANNED)
        return header_is_unchanged(m->h, t);
    return k->verified && header_fingerprint(m->h, (unsigned)t->slot, now) == ERR_OK &&
           cr_equal(now, k->fingerprint, sizeof now);
}

static enum err queue_escrow(struct mirror *m, const struct luks2_token *t)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_ESCROW;
    r->envelope = t->envelope;
    r->envelope_len = t->envelope_len;
    text_copy(r->computer, sizeof r->computer, m->a->computer);
    text_copy(r->label, sizeof r->label, m->v.label);
    enum err e = records_add(m->a, r, &t->key_id);
    free(r);
    return e;
}

/* It is what it was once more, or still: a change that was undone leaves no trace but its event. */
static enum err judge_known(struct mirror *m, const struct luks2_token *t, struct cache_key *k, bool verified,
                            bool *ret_good)
{
    /* with the cache lost, the token's word that it was proved */
    bool lost = k->state == 0 && owned_is_from_here(m->a, t), was_good = k->state == KEY_LIVE || lost;
    *ret_good = verified;
    if (verified)
        return ERR_OK;
    m->n_changed += k->verified != 0 || lost;
    m->n_unknown += k->verified == 0 && !lost;
    return was_good ? mirror_drift(m, DRIFT_CHANGED, &k->key_id) : ERR_OK;
}

/* The cache knows the volume, and not this key. One that says that it was made here, after every other, was
 * perhaps made by us, and the cache went back since; nothing proves it. */
static enum err judge_stranger(struct mirror *m, const struct luks2_token *t, const struct envelope *e)
{
    uint64_t newest = 0;
    m->n_unknown++;
    TRY(cache_newest_key(m->a->cache, &m->h->luks.uuid, &newest));
    if (owned_is_from_here(m->a, t) && header_is_unchanged(m->h, t) && e->time > newest)
        TRY(mirror_went_back(m, &t->key_id));
    return mirror_drift(m, DRIFT_UNKNOWN, &t->key_id);
}

/* The clock was in the future at an earlier look: what is seen now counts, and a schedule can go by it. */
static void note_proof(struct cache_key *k)
{
    uint64_t now = (uint64_t)time(NULL);
    if (!k->verified || k->verified > now)
        k->verified = now;
}

/* Which kind of key in use this is; k as the cache has it, state 0 when it does not. */
static enum err judge_key(struct mirror *m, const struct luks2_token *t, const struct envelope *e,
                          struct cache_key *k, bool *ret_good)
{
    bool verified = still_verified(m, t, k), stranger = k->state == 0 && m->known;
    *ret_good = false;
    if (k->state == KEY_RETIRED || k->state == KEY_RETURNED)
        return mirror_returned(m, k);
    if (verified)
        note_proof(k);
    if (!seal_is_to_us(m->a, e)) {
        m->n_elsewhere++;
        return ERR_OK;
    }
    if (verified && header_is_half_key(m->h, t->slot)) { /* nobody changed it, and it does not open */
        m->n_half++;
        return ERR_OK;
    }
    return stranger ? judge_stranger(m, t, e) : judge_known(m, t, k, verified, ret_good);
}

/* The key whose place this one took, because people know its password. */
static enum err note_replaced(struct mirror *m, const struct luks2_token *t)
{
    struct cache_key old;
    if (!t->has_replaces)
        return ERR_OK;
    enum err e = cache_get_key(m->a->cache, &t->replaces, &old);
    if (e != ERR_OK || old.spent)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    old.spent = t->cause == KH_CAUSE_DISCLOSED ? KH_CAUSE_DISCLOSED : KH_CAUSE_USED;
    return cache_put_key(m->a->cache, &old);
}

static enum err keep_key(struct mirror *m, const struct luks2_token *t, const struct envelope *e,
                         struct cache_key *k, bool good)
{
    bool first = k->state == 0 || k->state == KEY_PLANNED;
    m->made = m->made || (k->state == KEY_PLANNED && good);
    k->slot = t->slot;
    k->count = t->count;
    if (k->state != KEY_RETURNED)
        k->state = good ? KEY_LIVE : KEY_UNVERIFIED;
    k->made = first ? e->time : k->made;
    k->cause = t->cause ? t->cause : k->cause;
    if (first) /* later ones would hide what was proved */
        memcpy(k->fingerprint, t->fingerprint, sizeof k->fingerprint);
    memcpy(k->commitment, e->commitment, sizeof k->commitment);
    TRY(cache_put_envelope(m->a->cache, &t->key_id, t->envelope, t->envelope_len));
    TRY(cache_put_key(m->a->cache, k));
    return note_replaced(m, t);
}

static enum err live_key(struct mirror *m, const struct luks2_token *t)
{
    struct cache_key k = {0};
    struct envelope e;
    bool good = false;
    if (envelope_decode(t->envelope, t->envelope_len, &e) != ERR_OK)
        return ERR_OK; /* not an envelope: whoever wrote it, it is no key of ours to report */
    enum err known = cache_get_key(m->a->cache, &t->key_id, &k);
    if (known != ERR_OK && known != ERR_NOT_FOUND)
        return known;
    k.key_id = t->key_id;
    k.volume = m->h->luks.uuid;
    TRY(judge_key(m, t, &e, &k, &good));
    TRY(keep_key(m, t, &e, &k, good));
    if (!k.recorded && seal_is_to_us(m->a, &e))
        TRY(queue_escrow(m, t));
    m->n_live++;
    m->n_good += good;
    m->n_ignored += good && m->h->luks.slot[t->slot].priority == LUKS2_IGNORE;
    m->receipted = m->receipted || k.receipted; /* the token only says so */
    if (good && k.made >= m->newest_time) {
        m->newest = k.key_id;
        m->newest_time = k.made;
    }
    return ERR_OK;
}

static enum err mirror(struct mirror *m)
{
    TRY(load_volume(m));
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &m->h->luks.token[i];
        if (header_is_live(m->h, t))
            TRY(live_key(m, t));
        m->n_left += t->used && t->state == LUKS2_TOKEN_RETIRED && header_slot_fits(m->h, t->slot, t->count);
    }
    TRY(mirror_gone(m));
    TRY(mirror_life(m));
    mirror_judge(m);
    return cache_put_volume(m->a->cache, &m->v);
}

enum err mirror_volume(struct agent *a, struct header *h)
{
    TRY(header_reload(h));
    struct mirror *m = calloc(1, sizeof *m);
    if (!m)
        return ERR_NOMEM;
    m->a = a;
    m->h = h;
    enum err e = cache_begin(a->cache);
    if (e == ERR_OK) {
        e = mirror(m);
        e = cache_end(a->cache, e);
    }
    free(m);
    return e;
}

enum err mirror_note_volume(struct agent *a, struct header *h)
{
    struct mirror *m = calloc(1, sizeof *m);
    if (!m)
        return ERR_NOMEM;
    m->a = a;
    m->h = h;
    enum err e = load_volume(m);
    if (e == ERR_OK && m->v.state == 0) { /* new */
        mirror_judge(m);
        e = cache_put_volume(a->cache, &m->v);
    }
    free(m);
    return e;
}
