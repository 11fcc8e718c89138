/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every change of a header, each behind its own check on a freshly read one. */
#include "agent/header_lib.h"
#include "crypto/host/process.h"
#include <libcryptsetup.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Another program may write between our reading and libcryptsetup's locking; it then refuses the write,
 * and we look again. */
#define TRIES 5

/* The area cipher of every recovery keyslot. source: docs/formats.md#luks2-token */
#define AREA_CIPHER "aes-xts-plain64"

enum err header_someone_else(struct header *h, const char *what)
{
    return problem_set(h->why, ERR_CONFLICT, "volume %s: another program changed %s meanwhile", h->device,
                       what);
}

enum err header_run(struct header *h, const char *what, header_attempt *once, struct change *c)
{
    int r = 0;
    for (int i = 0; i < TRIES; i++) {
        TRY(header_reload(h));
        uint64_t seqid = h->luks.seqid;
        TRY(once(h, c, &r));
        TRY(header_reload(h));
        if (r >= 0)
            return ERR_OK;
        if (err_from_crypt(r) != ERR_BUSY && seqid == h->luks.seqid)
            break; /* nobody else was there: this is a failure of its own */
    }
    return problem_set(h->why, err_from_crypt(r), "volume %s: %s did not work (%s)", h->device, what,
                       lib_last_message()[0] ? lib_last_message() : strerror(-r));
}

static bool token_is(const struct header *h, int token, const struct guid *key_id)
{
    return token >= 0 && token < LUKS2_TOKENS && h->luks.token[token].used &&
           guid_equal(&h->luks.token[token].key_id, key_id);
}

static enum err put_token_once(struct header *h, struct change *c, int *r)
{
    if (c->token != HEADER_TOKEN_NEW && !token_is(h, c->token, c->key_id))
        return header_someone_else(h, "Keyholt's token");
    *r = crypt_token_json_set(h->cd, c->token == HEADER_TOKEN_NEW ? CRYPT_ANY_TOKEN : c->token, c->json);
    c->ret_token = *r;
    return ERR_OK;
}

enum err header_put_token(struct header *h, int token, const struct guid *key_id, const char *json,
                          int *ret_token)
{
    struct change c = {.token = token, .key_id = key_id, .json = json};
    TRY(header_run(h, "writing the token", put_token_once, &c));
    *ret_token = c.ret_token;
    return ERR_OK;
}

static enum err remove_token_once(struct header *h, struct change *c, int *r)
{
    if (!token_is(h, c->token, c->key_id))
        return header_someone_else(h, "Keyholt's token");
    *r = crypt_token_json_set(h->cd, c->token, NULL);
    return ERR_OK;
}

enum err header_remove_token(struct header *h, int token, const struct guid *key_id)
{
    struct change c = {.token = token, .key_id = key_id};
    return header_run(h, "removing the token", remove_token_once, &c);
}

static enum err add_slot_once(struct header *h, struct change *c, int *r)
{
    if (crypt_keyslot_status(h->cd, (int)c->slot) != CRYPT_SLOT_INACTIVE)
        return header_someone_else(h, "the keyslots");
    const struct crypt_pbkdf_type kdf = {.type = CRYPT_KDF_PBKDF2,
                                         .hash = "sha256",
                                         .iterations = c->count,
                                         .flags = CRYPT_PBKDF_NO_BENCHMARK};
    *r = crypt_set_pbkdf_type(h->cd, &kdf);
    if (*r >= 0)
        *r = crypt_keyslot_set_encryption(h->cd, AREA_CIPHER, HEADER_AREA_KEY);
    if (*r >= 0)
        *r = crypt_keyslot_add_by_volume_key(h->cd, (int)c->slot, (const char *)c->volume_key->bytes,
                                             c->volume_key->len, (const char *)c->password->bytes,
                                             c->password->len);
    return ERR_OK;
}

enum err header_add_slot(struct header *h, unsigned slot, uint32_t count, const struct secret *volume_key,
                         const struct secret *password)
{
    struct change c = {.slot = slot, .count = count, .volume_key = volume_key, .password = password};
    return header_run(h, "adding the recovery keyslot", add_slot_once, &c);
}

/* A token that is not ours and names this keyslot and no other: somebody else relies on it. One that names
 * others, too ("cryptsetup token add" without a keyslot names all) still has them afterwards. -1: there is
 * none. */
int header_foreign_claim(struct header *h, int slot, int own)
{
    for (int t = 0; t < crypt_token_max(CRYPT_LUKS2); t++) {
        if (t == own)
            continue;
        if (h->luks.token[t].used || crypt_token_is_assigned(h->cd, t, slot) != 0)
            continue;
        unsigned n = 0;
        for (int s = 0; s < crypt_keyslot_max(CRYPT_LUKS2); s++)
            n += crypt_token_is_assigned(h->cd, t, s) == 0;
        if (n == 1)
            return t;
    }
    return -1;
}

enum err header_claimed(struct header *h, int slot, int token)
{
    const char *type = "?";
    (void)crypt_token_status(h->cd, token, &type);
    return problem_set(
        h->why, ERR_CONFLICT,
        "volume %s: token %d (%s), which Keyholt did not make, names our keyslot %d and no "
        "other; the keyslot stays and still opens; if nobody needs the token: cryptsetup token "
        "remove --token-id %d %s, then rotate",
        h->device, token, type, slot, token, h->device);
}

/* All of it on the header as it was loaded for this write: libcryptsetup refuses the write when somebody
 * changed the header since, and then this is asked again. */
static enum err destroy_slot_once(struct header *h, struct change *c, int *r)
{
    int own = header_find_token(h, c->key_id), keep = c->keep ? header_find_token(h, c->keep) : -1;
    const struct luks2_token *t = own < 0 ? NULL : &h->luks.token[own];
    if (!t || !header_slot_fits(h, t->slot, t->count))
        return header_someone_else(h, "the recovery keyslot");
    int claim = header_foreign_claim(h, t->slot, -1);
    if (claim >= 0)
        return header_claimed(h, t->slot, claim);
    if (c->keep && (keep < 0 || !header_is_proved(h, &h->luks.token[keep])))
        return header_someone_else(h, "the keyslot of the recovery key that was to stay");
    *r = crypt_keyslot_destroy(h->cd, t->slot);
    return ERR_OK;
}

enum err header_destroy_slot(struct header *h, const struct guid *key_id, const struct guid *keep)
{
    struct change c = {.key_id = key_id, .keep = keep};
    return header_run(h, "removing the recovery keyslot", destroy_slot_once, &c);
}

enum err header_unlock(struct header *h, int slot, const struct secret *passphrase,
                       struct secret *ret_volume_key, int *ret_slot)
{
    SECRET(key);
    size_t len = sizeof key.bytes;
    /* An Argon2 keyslot takes up to 1 GiB for a moment. Locking that much fails under a limit, so future
     * memory is not locked meanwhile; what there is stays locked. */
    (void)mlockall(MCL_CURRENT);
    int r = crypt_volume_key_get(h->cd, slot, (char *)key.bytes, &len, (const char *)passphrase->bytes,
                                 passphrase->len);
    TRY(process_harden(true));
    if (r == -1 || r == -2) /* -EPERM: wrong; -ENOENT: no keyslot at all */
        return problem_set(h->why, ERR_AUTH,
                           "volume %s: the passphrase does not open it; nothing was changed; check the "
                           "passphrase and try again",
                           h->device);
    if (r < 0)
        return problem_set(h->why, err_from_crypt(r),
                           "volume %s: it cannot be unlocked (%s); nothing was changed", h->device,
                           lib_last_message()[0] ? lib_last_message() : strerror(-r));
    key.len = len;
    *ret_volume_key = key;
    *ret_slot = r;
    return ERR_OK;
}

enum err header_check_volume_key(struct header *h, const struct secret *volume_key)
{
    if (crypt_volume_key_verify(h->cd, (const char *)volume_key->bytes, volume_key->len) >= 0)
        return ERR_OK;
    return problem_set(h->why, ERR_AUTH, "volume %s: this is not its volume key; nothing was changed",
                       h->device);
}

enum err header_try(struct header *h, unsigned slot, const struct secret *passphrase)
{
    TRY(header_reload(h));
    int r = crypt_activate_by_passphrase(h->cd, NULL, (int)slot, (const char *)passphrase->bytes,
                                         passphrase->len, 0);
    return r >= 0 ? ERR_OK : err_from_crypt(r);
}
