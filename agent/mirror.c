/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/mirror.h"
#include "agent/records.h"
#include "crypto/secret.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct mirror {
    struct agent *a;
    struct header *h;
    struct cache_volume v;
    struct guid newest; /* good key made last */
    uint64_t newest_time;
    bool known; /* the cache knew the volume: a key that it does not know was not made here */
    unsigned n_live, n_good, n_changed, n_unknown, n_returned, n_elsewhere, n_left;
};

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
    m->v.uuid = h->luks.uuid;
    text_copy(m->v.device, sizeof m->v.device, h->device);
    const char *slash = strrchr(h->device, '/');
    text_copy(m->v.label, sizeof m->v.label,
              h->luks.label[0] ? h->luks.label
              : slash          ? slash + 1
                               : h->device);
    return ERR_OK;
}

bool mirror_is_sealed_to_us(const struct agent *a, const struct envelope *e)
{
    if (!a->org)
        return true; /* cannot be judged */
    for (unsigned i = 0; i < e->n_recipients; i++)
        for (unsigned k = 0; k < a->org->n_escrow; k++)
            if (memcmp(e->recipient[i], a->org->escrow[k].id, sizeof e->recipient[i]) == 0)
                return true;
    return false;
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

/* Which kind of key in use this is; k as the cache has it, state 0 when it does not. */
static bool is_good(struct mirror *m, const struct luks2_token *t, const struct envelope *e,
                    struct cache_key *k)
{
    bool verified = still_verified(m, t, k);
    if (k->state == KEY_RETIRED) { /* an old header came back: the password may be known */
        m->n_returned++;
        m->v.rotate = true;
        k->verified = 0;
        return false;
    }
    if (verified && !k->verified)
        k->verified = (uint64_t)time(NULL);
    if (!mirror_is_sealed_to_us(m->a, e)) {
        m->n_elsewhere++;
        return false;
    }
    m->n_changed += !verified && k->verified;
    m->n_unknown += !verified && !k->verified;
    return verified;
}

static enum err live_key(struct mirror *m, const struct luks2_token *t)
{
    struct cache_key k = {0};
    struct envelope e;
    if (envelope_decode(t->envelope, t->envelope_len, &e) != ERR_OK)
        return ERR_OK; /* not an envelope: whoever wrote it, it is no key of ours to report */
    enum err known = cache_get_key(m->a->cache, &t->key_id, &k);
    if (known != ERR_OK && known != ERR_NOT_FOUND)
        return known;
    bool first = k.state == 0 || k.state == KEY_PLANNED, good = is_good(m, t, &e, &k);
    k.key_id = t->key_id;
    k.volume = m->h->luks.uuid;
    k.slot = t->slot;
    k.count = t->count;
    k.state = good ? KEY_LIVE : KEY_UNVERIFIED;
    k.made = first ? e.time : k.made;
    if (first) /* later ones would hide what was proved */
        memcpy(k.fingerprint, t->fingerprint, sizeof k.fingerprint);
    memcpy(k.commitment, e.commitment, sizeof k.commitment);
    TRY(cache_put_envelope(m->a->cache, &t->key_id, t->envelope, t->envelope_len));
    TRY(cache_put_key(m->a->cache, &k));
    if (!k.recorded && mirror_is_sealed_to_us(m->a, &e))
        TRY(queue_escrow(m, t));
    m->n_live++;
    m->n_good += good;
    if (good && k.made >= m->newest_time) {
        m->newest = k.key_id;
        m->newest_time = k.made;
    }
    return ERR_OK;
}

/* A key of the cache that is no longer in use. */
static enum err gone_key(struct mirror *m, struct cache_key *k)
{
    bool was_used = k->state != KEY_PLANNED;
    k->state = KEY_RETIRED;
    TRY(cache_put_key(m->a->cache, k));
    if (!was_used)
        return ERR_OK;
    m->v.rotate = m->v.rotate && m->n_good == 0; /* done when a live key stands in its place */
    struct record *r = calloc(1, sizeof *r);
    if (!r)
        return ERR_NOMEM;
    r->kind = RECORD_EVENT;
    r->event = m->n_good ? EVENT_ROTATED : EVENT_RETIRED;
    r->key_id = m->n_good ? m->newest : k->key_id;
    if (m->n_good)
        r->other_key_id = k->key_id;
    r->volume = k->volume;
    r->event_time = (uint64_t)time(NULL);
    enum err e = records_add(m->a, r, NULL);
    free(r);
    return e;
}

/* Its token is gone, or it is a live one whose keyslot somebody removed or exchanged. */
static bool is_gone(const struct header *h, const struct guid *key_id)
{
    int n = header_find_token(h, key_id);
    return n < 0 || (h->luks.token[n].state == LUKS2_TOKEN_LIVE && !header_is_live(h, &h->luks.token[n]));
}

static enum err gone_keys(struct mirror *m)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    unsigned n = 0;
    if (!keys)
        return ERR_NOMEM;
    enum err e = cache_keys(m->a->cache, &m->h->luks.uuid, keys, &n);
    for (unsigned i = 0; e == ERR_OK && i < n; i++)
        if (keys[i].state != KEY_RETIRED && is_gone(m->h, &keys[i].key_id))
            e = gone_key(m, &keys[i]);
    free(keys);
    return e;
}

static const char *note_of(const struct mirror *m)
{
    if (m->n_live == 0)
        return "no recovery key opens it; protect it: keyholt-agent protect --device DEV --passphrase-file F";
    if (m->n_live == m->n_elsewhere)
        return "its recovery key is sealed to escrow keys that this organisation does not have; protect it: "
               "keyholt-agent protect --device DEV --passphrase-file F";
    if (m->n_returned)
        return "a recovery key that was replaced is in the header again (an old header was restored?); "
               "rotate it";
    if (m->n_changed)
        return "a recovery keyslot was changed by another program; rotate it";
    if (m->n_unknown)
        return "the header has a recovery key that this computer does not know to have made; rotate it";
    if (m->n_left)
        return "an old recovery password still opens it: its keyslot could not be removed; remove the token "
               "of another "
               "program that names it (cryptsetup luksDump), then rotate";
    return "";
}

static void judge(struct mirror *m)
{
    bool wanted = m->v.rotate, waits = m->v.state == VOLUME_NEEDS_SECRET;
    bool pending = m->n_live == m->n_elsewhere; /* none at all, too */
    m->v.state = pending                              ? VOLUME_PENDING
                 : m->n_returned || (wanted && waits) ? VOLUME_NEEDS_SECRET
                                                      : VOLUME_PROTECTED;
    if (pending || !wanted || m->n_returned) /* else it says why a rotation is wanted */
        text_copy(m->v.note, sizeof m->v.note, note_of(m));
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
    TRY(gone_keys(m));
    judge(m);
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
        if (e == ERR_OK)
            e = cache_commit(a->cache);
        else
            cache_rollback(a->cache);
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
        judge(m);
        e = cache_put_volume(a->cache, &m->v);
    }
    free(m);
    return e;
}
