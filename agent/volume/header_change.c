/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every change of a header, each behind its own check on a freshly read one. */
#include "agent/volume/header_lib.h"
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

/* Another program may write between our reading and the disk's locking; the write is then refused, and we
 * look again. He may be at it without a pause: each time it is a matter of chance who is first. */
#define TRIES 12

/* Why an operation failed; kept, because reading the header again may have a reason of its own. */
#define REASON_MAX 160

enum err header_someone_else(struct header *h, const char *what)
{
    return problem_set(h->why, ERR_CONFLICT, "volume %s: another program changed %s meanwhile", h->device,
                       what);
}

enum err header_wait_lock(struct header *h)
{
    char who[96] = "another program";
    if (disk_ops.wait_lock(h->disk, who, sizeof who) == ERR_OK)
        return ERR_OK;
    return problem_set(h->why, ERR_BUSY,
                       "volume %s: %s holds the lock of its header; nothing was changed; try again",
                       h->device, who);
}

static enum err keeps_changing(struct header *h, const char *what)
{
    char who[96];
    disk_ops.find_writer(h->disk, who, sizeof who);
    return problem_set(
        h->why, ERR_BUSY,
        "volume %s: %s did not work, because %s keeps changing the header; try again when that "
        "is done",
        h->device, what, who);
}

static enum err did_not_work(struct header *h, const char *what, enum err e, const char *reason)
{
    return problem_set(h->why, e, "volume %s: %s did not work (%s)", h->device, what, reason);
}

enum err header_run(struct header *h, const char *what, header_attempt *once, struct change *c)
{
    enum err r = ERR_OK;
    char reason[REASON_MAX] = "";
    bool alone = false;
    TRY(header_wait_lock(h));
    for (int i = 0; i < TRIES; i++) {
        TRY(header_reload(h));
        uint64_t seqid = h->luks.seqid;
        TRY(once(h, c, &r));
        (void)snprintf(reason, sizeof reason, "%s", r == ERR_OK ? "" : disk_ops.reason());
        TRY(header_reload(h));
        if (r == ERR_OK)
            return ERR_OK;
        c->again = true;
        if (r != ERR_BUSY && seqid == h->luks.seqid) /* nobody else was there: a failure of its own */
            return did_not_work(h, what, r, reason);
        alone = c->is_made(h, c); /* written, and reported as failed all the same */
    }
    return alone ? did_not_work(h, what, r, reason) : keeps_changing(h, what);
}

bool header_token_says(const struct header *h, int token, const char *json)
{
    const char *now = NULL;
    if (token < 0 || disk_ops.token(h->disk, token, &now) != ERR_OK)
        return false;
    struct json_object *has = json_tokener_parse(now), *wanted = json_tokener_parse(json);
    bool same = has && wanted && json_object_equal(has, wanted);
    json_object_put(has);
    json_object_put(wanted);
    return same;
}

bool header_slot_gone(struct header *h, const struct change *c)
{
    return c->slot < LUKS2_SLOTS && !h->luks.slot[c->slot].used;
}

static bool token_is(const struct header *h, int token, const struct guid *key_id)
{
    return token >= 0 && token < LUKS2_TOKENS && h->luks.token[token].used &&
           guid_equal(&h->luks.token[token].key_id, key_id);
}

static bool is_put(struct header *h, const struct change *c)
{
    return header_token_says(h, header_find_token(h, c->key_id), c->json);
}

static enum err put_token_once(struct header *h, struct change *c, enum err *r)
{
    if (c->token != HEADER_TOKEN_NEW && !token_is(h, c->token, c->key_id))
        return header_someone_else(h, "Keyholt's token");
    if (c->token == HEADER_TOKEN_NEW) /* a write that failed at its second copy is there all the same */
        c->token = header_find_token(h, c->key_id);
    *r = disk_ops.put_token(h->disk, c->token, c->json, &c->ret_token);
    return ERR_OK;
}

enum err header_put_token(struct header *h, int token, const struct guid *key_id, const char *json,
                          int *ret_token)
{
    struct change c = {.token = token, .key_id = key_id, .json = json, .is_made = is_put};
    TRY(header_run(h, "writing the token", put_token_once, &c));
    *ret_token = c.ret_token;
    return ERR_OK;
}

static bool is_removed(struct header *h, const struct change *c)
{
    return !token_is(h, c->token, c->key_id);
}

static enum err remove_token_once(struct header *h, struct change *c, enum err *r)
{
    *r = ERR_OK;
    if (c->again && is_removed(h, c))
        return ERR_OK;
    if (!token_is(h, c->token, c->key_id))
        return header_someone_else(h, "Keyholt's token");
    *r = disk_ops.put_token(h->disk, c->token, NULL, &c->ret_token);
    return ERR_OK;
}

enum err header_remove_token(struct header *h, int token, const struct guid *key_id)
{
    struct change c = {.token = token, .key_id = key_id, .is_made = is_removed};
    return header_run(h, "removing the token", remove_token_once, &c);
}

/* By our own earlier attempt. Taken for somebody else's it would stay, and open with a password that is
 * retired one day. */
static bool is_added(struct header *h, const struct change *c)
{
    return header_slot_made(h, (int)c->slot, c->count) &&
           disk_ops.try_slot(h->disk, c->slot, c->password) == ERR_OK;
}

static enum err add_slot_once(struct header *h, struct change *c, enum err *r)
{
    if (c->slot >= LUKS2_SLOTS || (h->luks.slot[c->slot].used && !(c->again && is_added(h, c))))
        return header_someone_else(h, "the keyslots");
    if (h->luks.slot[c->slot].used) {
        *r = ERR_OK;
        return ERR_OK;
    }
    *r = disk_ops.add_slot(h->disk, c->slot, c->count, c->volume_key, c->password);
    return ERR_OK;
}

enum err header_add_slot(struct header *h, unsigned slot, uint32_t count, const struct secret *volume_key,
                         const struct secret *password)
{
    struct change c = {
        .slot = slot, .count = count, .volume_key = volume_key, .password = password, .is_made = is_added};
    return header_run(h, "adding the recovery keyslot", add_slot_once, &c);
}

/* A token that is not ours and names this keyslot and no other: somebody else relies on it. One that names
 * others, too ("cryptsetup token add" without a keyslot names all) still has them afterwards. -1: there is
 * none. */
int header_foreign_claim(const struct header *h, int slot, int own)
{
    for (int t = 0; t < LUKS2_TOKENS; t++)
        if (t != own && !h->luks.token[t].used && h->luks.token[t].slots == UINT32_C(1) << slot)
            return t;
    return -1;
}

enum err header_claimed(struct header *h, int slot, int token)
{
    return problem_set(
        h->why, ERR_CONFLICT,
        "volume %s: token %d (%s), which Keyholt did not make, names our keyslot %d and no "
        "other; the keyslot stays and still opens; if nobody needs the token: cryptsetup token "
        "remove --token-id %d %s, then rotate",
        h->device, token, h->luks.token[token].type, slot, token, h->device);
}

/* Nobody else relies on it, and what is to stay is still what was proved. */
static enum err check_claim_and_keep(struct header *h, int slot, const struct change *c)
{
    int claim = header_foreign_claim(h, slot, -1), keep = c->keep ? header_find_token(h, c->keep) : -1;
    if (claim >= 0)
        return header_claimed(h, slot, claim);
    if (c->keep && (keep < 0 || !header_is_proved(h, &h->luks.token[keep])))
        return header_someone_else(h, "the keyslot of the recovery key that was to stay");
    return ERR_OK;
}

/* All of it on the header as it was loaded for this write, which is refused when somebody changed the header
 * since, and then this is asked again. */
static enum err destroy_slot_once(struct header *h, struct change *c, enum err *r)
{
    int own = header_find_token(h, c->key_id);
    const struct luks2_token *t = own < 0 ? NULL : &h->luks.token[own];
    *r = ERR_OK;
    if (t && c->again && header_slot_gone(h, c))
        return ERR_OK;
    if (!t || !header_slot_fits(h, t->slot, t->count))
        return header_someone_else(h, "the recovery keyslot");
    TRY(check_claim_and_keep(h, t->slot, c));
    c->slot = (unsigned)t->slot;
    *r = disk_ops.destroy_slot(h->disk, (unsigned)t->slot);
    return ERR_OK;
}

enum err header_destroy_slot(struct header *h, const struct guid *key_id, const struct guid *keep)
{
    struct change c = {.key_id = key_id, .keep = keep, .is_made = header_slot_gone};
    return header_run(h, "removing the recovery keyslot", destroy_slot_once, &c);
}

bool header_is_named(const struct header *h, int slot)
{
    for (int t = 0; t < LUKS2_TOKENS; t++)
        if (h->luks.token[t].used && h->luks.token[t].slot == slot)
            return true;
    return false;
}

static bool is_what_it_was(struct header *h, const struct change *c)
{
    uint8_t now[32];
    return !header_is_named(h, (int)c->slot) && header_slot_fits(h, (int)c->slot, c->count) &&
           (!c->fingerprint ||
            (header_fingerprint(h, c->slot, now) == ERR_OK && cr_equal(now, c->fingerprint, sizeof now)));
}

static enum err destroy_unnamed_once(struct header *h, struct change *c, enum err *r)
{
    *r = ERR_OK;
    if (c->again && header_slot_gone(h, c))
        return ERR_OK;
    if (!is_what_it_was(h, c))
        return header_someone_else(h, "the recovery keyslot");
    TRY(check_claim_and_keep(h, (int)c->slot, c));
    *r = disk_ops.destroy_slot(h->disk, c->slot);
    return ERR_OK;
}

enum err header_destroy_unnamed(struct header *h, int slot, uint32_t count, const uint8_t *fingerprint,
                                const struct guid *keep)
{
    struct change c = {.slot = (unsigned)slot,
                       .count = count,
                       .fingerprint = fingerprint,
                       .keep = keep,
                       .is_made = header_slot_gone};
    return header_run(h, "removing the recovery keyslot", destroy_unnamed_once, &c);
}

enum err header_unlock(struct header *h, int slot, const struct secret *passphrase,
                       struct secret *ret_volume_key, int *ret_slot)
{
    enum err e = disk_ops.unlock(h->disk, slot, passphrase, ret_volume_key, ret_slot);
    if (e == ERR_AUTH)
        return problem_set(h->why, e,
                           "volume %s: the passphrase does not open it; nothing was changed; check the "
                           "passphrase and try again",
                           h->device);
    if (e != ERR_OK)
        return problem_set(h->why, e, "volume %s: it cannot be unlocked (%s); nothing was changed", h->device,
                           disk_ops.reason());
    return ERR_OK;
}

enum err header_check_volume_key(struct header *h, const struct secret *volume_key)
{
    if (disk_ops.check_volume_key(h->disk, volume_key) == ERR_OK)
        return ERR_OK;
    return problem_set(h->why, ERR_AUTH, "volume %s: this is not its volume key; nothing was changed",
                       h->device);
}

enum err header_try(struct header *h, unsigned slot, const struct secret *passphrase)
{
    TRY(header_reload(h));
    return disk_ops.try_slot(h->disk, slot, passphrase);
}
