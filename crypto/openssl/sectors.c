/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/openssl/aes.h"
#include "crypto/reveal.h"
#include "crypto/secret.h"
#include "crypto/sectors_keys.h"
#include <limits.h>

struct keys {
    EVP_CIPHER_CTX *decrypt, *encrypt; /* encrypt: NULL where equal XTS halves forbid it */
    EVP_CIPHER_CTX *iv;                /* NULL in modes that do not encrypt IVs */
};
_Static_assert(sizeof(struct keys) <= CR_SECTORS_KEYS, "struct cr_sectors has no room for the keys");

static struct keys *keys_of(struct cr_sectors *s)
{
    return (void *)s->keys;
}

static bool is_cbc(const struct cr_sectors *s)
{
    return s->mode != CR_XTS_PLAIN64 && s->mode != CR_XTS_PLAIN;
}

enum err sectors_keys_init(struct cr_sectors *s, const uint8_t *key, size_t key_len,
                           const struct sectors_iv_key *iv_key)
{
    static const uint8_t zero[CR_AES_BLOCK];
    struct keys *k = keys_of(s);
    enum aes_mode mode = is_cbc(s) ? AES_CBC : AES_XTS;
    TRY(aes_start(CR_DECRYPT, mode, key, key_len, zero, &k->decrypt));
    /* Equal halves make XTS weak; OpenSSL refuses to encrypt with them, and so does every back end of ours.
     */
    const bool weak = !is_cbc(s) && cr_equal(key, key + key_len / 2, key_len / 2);
    cr_reveal(&weak, sizeof weak);
    if (!weak)
        TRY(aes_start(CR_ENCRYPT, mode, key, key_len, zero, &k->encrypt));
    return iv_key->len ? aes_start(CR_ENCRYPT, AES_ECB, iv_key->bytes, iv_key->len, NULL, &k->iv) : ERR_OK;
}

void sectors_keys_free(struct cr_sectors *s)
{
    struct keys *k = keys_of(s);
    EVP_CIPHER_CTX_free(k->decrypt);
    EVP_CIPHER_CTX_free(k->encrypt);
    EVP_CIPHER_CTX_free(k->iv);
}

enum err sectors_ivs(struct cr_sectors *s, uint8_t *ivs, size_t len)
{
    return aes_run(keys_of(s)->iv, NULL, ivs, ivs, len);
}

static enum err run(struct cr_sectors *s, enum cr_dir dir, const uint8_t *iv, const uint8_t *in, uint8_t *ret,
                    size_t len)
{
    EVP_CIPHER_CTX *ctx = dir == CR_ENCRYPT ? keys_of(s)->encrypt : keys_of(s)->decrypt;
    return ctx ? aes_run(ctx, iv, in, ret, len) : ERR_RANGE;
}

enum err sectors_xts(struct cr_sectors *s, enum cr_dir dir, const uint8_t *tweak, const uint8_t *in,
                     uint8_t *ret, size_t len)
{
    return run(s, dir, tweak, in, ret, len);
}

enum err sectors_cbc(struct cr_sectors *s, enum cr_dir dir, const uint8_t *iv, uint8_t *buf, size_t len)
{
    return run(s, dir, iv, buf, buf, len);
}
