/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/protect.h"
#include "agent/volume/mirror.h"
#include "agent/volume/recover.h"
#include "agent/volume/seal.h"
#include "agent/volume/settle.h"
#include "agent/volume/token_json.h"
#include "crypto/random.h"
#include "formats/envelope.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Other programs add keyslots, too, but not all the time. */
#define SLOT_TRIES 3

static const char *device(const struct protect_run *r)
{
    return r->header->device;
}

/* What one more recovery key takes in the JSON area, beside the keyslot itself. */
static size_t token_room(const struct org *org)
{
    return TOKEN_JSON_MAX - BASE64_LEN(ENVELOPE_MAX) + BASE64_LEN(ENVELOPE_LEN(org->n_escrow));
}

/* A recovery password that authorises a change was in somebody's hands: it is used up. */
static void take_spent(struct protect_run *r)
{
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &r->header->luks.token[i];
        if (!header_is_live(r->header, t) || t->slot != r->opened)
            continue;
        r->token.cause = KH_CAUSE_USED;
        r->token.has_replaces = true;
        r->token.replaces = t->key_id;
    }
}

enum err protect_check(struct protect_run *r)
{
    unsigned slot;
    TRY(seal_load_org(r->agent, r->why));
    TRY(header_check_room(r->header, token_room(r->agent->org), &slot));
    agent_step(r->agent, "volume %s: opening it; a keyslot of Argon2 takes some seconds", device(r));
    TRY(unlock_volume(r->agent, r->header, r->unlock, &r->volume_key, &r->opened));
    r->token.slot = (int)slot;
    take_spent(r);
    return ERR_OK;
}

static enum err draw(struct protect_run *r)
{
    uint8_t id[16];
    uint16_t spread;
    TRY(cr_random(r->password.bytes, RP_BYTES));
    r->password.len = RP_BYTES;
    TRY(cr_random(id, sizeof id));
    guid_from_random(id, &r->token.key_id);
    TRY(cr_random(&spread, sizeof spread));
    /* 1024 values, a power of two: no bias */
    r->token.count = KH_PBKDF2_MIN + spread % (KH_PBKDF2_MAX - KH_PBKDF2_MIN + 1);
    return ERR_OK;
}

/* Now, but later than every key that is there: resume keeps the newest of several live keys, and a clock
 * that went backwards must not make it the wrong one. */
static uint64_t time_of_key(const struct header *h)
{
    uint64_t t = (uint64_t)time(NULL);
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *k = &h->luks.token[i];
        struct envelope e;
        if (k->used && envelope_decode(k->envelope, k->envelope_len, &e) == ERR_OK && e.time >= t &&
            e.time < SETTLE_TIME_MAX)
            t = e.time + 1;
    }
    return t;
}

enum err protect_generate(struct protect_run *r)
{
    r->time = time_of_key(r->header);
    r->token.used = true;
    r->token.state = LUKS2_TOKEN_PENDING;
    r->token_number = HEADER_TOKEN_NEW;
    enum err e = draw(r);
    if (e != ERR_OK)
        return problem_set(r->why, e, "no random numbers: %s; nothing was changed", err_text(e));
    return ERR_OK;
}

enum err protect_seal(struct protect_run *r)
{
    struct sealed s;
    enum err e =
        seal_password(r->agent, &r->token.key_id, &r->header->luks.uuid, r->time, r->password.bytes, &s);
    if (e != ERR_OK)
        return problem_set(
            r->why, e, "sealing to the escrow keys of org.json failed: %s; nothing was changed", err_text(e));
    memcpy(r->token.envelope, s.envelope, s.len);
    r->token.envelope_len = s.len;
    memcpy(r->commitment, s.commitment, sizeof r->commitment);
    return ERR_OK;
}

static void to_cache_key(const struct protect_run *r, uint8_t state, struct cache_key *ret)
{
    *ret = (struct cache_key){.key_id = r->token.key_id,
                              .volume = r->header->luks.uuid,
                              .slot = r->token.slot,
                              .count = r->token.count,
                              .state = state,
                              .made = r->time,
                              .cause = r->token.cause};
    memcpy(ret->commitment, r->commitment, sizeof ret->commitment);
}

static enum err write_plan(struct protect_run *r)
{
    struct cache_key key;
    to_cache_key(r, KEY_PLANNED, &key);
    TRY(cache_begin(r->agent->cache));
    TRY(cache_put_envelope(r->agent->cache, &r->token.key_id, r->token.envelope, r->token.envelope_len));
    TRY(cache_put_key(r->agent->cache, &key));
    TRY(mirror_note_volume(r->agent, r->header));
    return cache_commit(r->agent->cache);
}

enum err protect_cache(struct protect_run *r)
{
    enum err e = write_plan(r);
    if (e == ERR_OK)
        return ERR_OK;
    cache_rollback(r->agent->cache);
    if (e == ERR_FULL)
        return problem_set(
            r->why, e,
            "the disk that holds %s%s is full; volume %s: no keyslot was added and nothing was "
            "changed; make room and protect it again",
            r->agent->root, KH_AGENT_STATE, device(r));
    return problem_set(r->why, e, "the cache in %s%s cannot be written: %s; nothing was changed",
                       r->agent->root, KH_AGENT_STATE, err_text(e));
}

static enum err put_token(struct protect_run *r)
{
    char json[TOKEN_JSON_MAX];
    TRY(token_json_encode(&r->token, json));
    return header_put_token(r->header, r->token_number, &r->token.key_id, json, &r->token_number);
}

enum err protect_token(struct protect_run *r)
{
    r->begun = true;
    return put_token(r);
}

static void passphrase_of(const struct protect_run *r, struct secret *ret)
{
    rp_encode(r->password.bytes, ret);
}

/* Somebody took the keyslot's number: promise another one, in the token first (invariant 1). */
static enum err other_slot(struct protect_run *r)
{
    unsigned slot;
    TRY(header_check_room(r->header, 0, &slot));
    r->token.slot = (int)slot;
    return r->token_number == HEADER_TOKEN_NEW ? ERR_OK : put_token(r);
}

enum err protect_keyslot(struct protect_run *r)
{
    SECRET(passphrase);
    r->begun = true;
    agent_step(r->agent, "volume %s: adding the recovery keyslot", device(r));
    passphrase_of(r, &passphrase);
    enum err e = ERR_CONFLICT;
    for (int i = 0; i < SLOT_TRIES && e == ERR_CONFLICT; i++) {
        if (i)
            TRY(other_slot(r));
        e = header_add_slot(r->header, (unsigned)r->token.slot, r->token.count, &r->volume_key, &passphrase);
    }
    return e;
}

/* Made anew from the buffer that was sealed: a bit that flipped in the first text would be found here. */
enum err protect_trial(struct protect_run *r)
{
    SECRET(passphrase);
    uint8_t commitment[32];
    struct envelope sealed;
    passphrase_of(r, &passphrase);
    enum err e = header_try(r->header, (unsigned)r->token.slot, &passphrase);
    if (e != ERR_OK)
        return problem_set(r->why, e, "volume %s: the new recovery password does not open keyslot %d: %s",
                           device(r), r->token.slot, err_text(e));
    e = envelope_decode(r->token.envelope, r->token.envelope_len, &sealed);
    if (e == ERR_OK)
        e = envelope_commitment(r->password.bytes, &sealed.key_id, &sealed.volume, commitment);
    if (e == ERR_OK && !cr_equal(commitment, sealed.commitment, sizeof commitment))
        e = ERR_INTERNAL;
    if (e != ERR_OK)
        return problem_set(r->why, e, "volume %s: the envelope does not hold what opened the keyslot",
                           device(r));
    return ERR_OK;
}

enum err protect_assign(struct protect_run *r)
{
    enum err e = header_fingerprint(r->header, (unsigned)r->token.slot, r->token.fingerprint);
    if (e != ERR_OK)
        return problem_set(r->why, e, "volume %s: keyslot %d cannot be read again: %s", device(r),
                           r->token.slot, err_text(e));
    r->token.has_fingerprint = true;
    r->token.assigned = true;
    r->token.state = LUKS2_TOKEN_LIVE;
    TRY(put_token(r));
    r->live = true;
    return ERR_OK;
}

enum err protect_read_back(struct protect_run *r)
{
    uint8_t fingerprint[32];
    TRY(header_reload(r->header));
    int n = header_find_token(r->header, &r->token.key_id);
    const struct luks2_token *t = n < 0 ? NULL : &r->header->luks.token[n];
    bool same = t && t->state == LUKS2_TOKEN_LIVE && t->assigned && t->slot == r->token.slot &&
                header_slot_fits(r->header, t->slot, r->token.count) &&
                t->envelope_len == r->token.envelope_len &&
                memcmp(t->envelope, r->token.envelope, t->envelope_len) == 0;
    same = same && header_fingerprint(r->header, (unsigned)t->slot, fingerprint) == ERR_OK &&
           cr_equal(fingerprint, r->token.fingerprint, sizeof fingerprint);
    if (same)
        return ERR_OK;
    r->live = false;
    return problem_set(r->why, ERR_CONFLICT,
                       "volume %s: the header does not read back as it was written; another program may have "
                       "changed it",
                       device(r));
}

enum err protect_enroll(struct protect_run *r)
{
    return mirror_volume(r->agent, r->header);
}

static enum err run_steps(const struct protect_step *steps, struct protect_run *r)
{
    for (; steps->run; steps++) {
        enum err e = steps->run(r);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

/* The first sentence stays; what became of the beginning is added. */
static void undo(struct protect_run *r)
{
    struct problem first = *r->why;
    enum err e = recover_volume(r->agent, r->header);
    bool undone = e == ERR_OK && header_find_token(r->header, &r->token.key_id) < 0;
    if (undone)
        (void)problem_set(r->why, e, "%.400s; what was begun was undone", first.text);
    else
        (void)problem_set(r->why, e, "%.380s; what was begun is undone at the keeper's next start",
                          first.text);
}

static void wipe_run(struct protect_run *r)
{
    secret_wipe(&r->password);
    secret_wipe(&r->volume_key);
}

enum err protect_volume(struct agent *a, struct header *h, const struct protect_order *order,
                        struct secret *ret_volume_key, struct protect_result *ret)
{
    __attribute__((cleanup(wipe_run))) struct protect_run r = {
        .agent = a, .header = h, .why = h->why, .unlock = order->unlock, .opened = HEADER_ANY_SLOT};
    r.token.cause = order->cause;
    r.token.has_replaces = order->has_spent;
    r.token.replaces = order->spent;
    enum err e = run_steps(protect_steps, &r);
    if (e != ERR_OK && !r.live) {
        if (r.begun)
            undo(&r);
        return e;
    }
    if (e != ERR_OK)
        agent_say(a,
                  "volume %s is protected, but that cannot be recorded now (%s): the escrow is queued later",
                  h->device, err_text(e));
    *ret_volume_key = r.volume_key;
    *ret = (struct protect_result){h->luks.uuid, r.token.key_id, r.token.slot, e == ERR_OK};
    return ERR_OK;
}
