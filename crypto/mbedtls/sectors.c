/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/mbedtls/keys.h"
#include "crypto/reveal.h"
#include "crypto/secret.h"
#include "crypto/sectors_keys.h"

struct keys {
    union {
        struct {
            mbedtls_aes_xts_context decrypt, encrypt;
            bool weak; /* equal halves: no encryption */
        } xts;
        struct {
            mbedtls_aes_context decrypt, encrypt, iv;
        } cbc;
    };
};
_Static_assert(sizeof(struct keys) <= CR_SECTORS_KEYS, "struct cr_sectors has no room for the keys");

static struct keys *keys_of(struct cr_sectors *s)
{
    return (void *)s->keys;
}

static enum err xts_keys(struct keys *k, const uint8_t *key, size_t key_len)
{
    unsigned bits = (unsigned)key_len * 8;
    mbedtls_aes_xts_init(&k->xts.decrypt);
    mbedtls_aes_xts_init(&k->xts.encrypt);
    /* Equal halves make XTS weak; OpenSSL refuses to encrypt with them, and so does every back end. */
    k->xts.weak = cr_equal(key, key + key_len / 2, key_len / 2);
    cr_reveal(&k->xts.weak, sizeof k->xts.weak);
    return mbedtls_aes_xts_setkey_dec(&k->xts.decrypt, key, bits) == 0 &&
                   mbedtls_aes_xts_setkey_enc(&k->xts.encrypt, key, bits) == 0
               ? ERR_OK
               : ERR_INTERNAL;
}

enum err sectors_keys_init(struct cr_sectors *s, const uint8_t *key, size_t key_len,
                           const struct sectors_iv_key *iv_key)
{
    struct keys *k = keys_of(s);
    if (s->mode == CR_XTS_PLAIN64 || s->mode == CR_XTS_PLAIN)
        return xts_keys(k, key, key_len);
    TRY(aes_key(&k->cbc.decrypt, CR_DECRYPT, key, key_len));
    TRY(aes_key(&k->cbc.encrypt, CR_ENCRYPT, key, key_len));
    return iv_key->len ? aes_key(&k->cbc.iv, CR_ENCRYPT, iv_key->bytes, iv_key->len) : ERR_OK;
}

void sectors_keys_free(struct cr_sectors *s)
{
    (void)s; /* all of it lies in the struct */
}

enum err sectors_ivs(struct cr_sectors *s, uint8_t *ivs, size_t len)
{
    return aes_ecb(&keys_of(s)->cbc.iv, CR_ENCRYPT, ivs, ivs, len);
}

enum err sectors_xts(struct cr_sectors *s, enum cr_dir dir, const uint8_t *tweak, const uint8_t *in,
                     uint8_t *ret, size_t len)
{
    struct keys *k = keys_of(s);
    if (dir == CR_ENCRYPT && k->xts.weak)
        return ERR_RANGE;
    int code = dir == CR_ENCRYPT
                   ? mbedtls_aes_crypt_xts(&k->xts.encrypt, MBEDTLS_AES_ENCRYPT, len, tweak, in, ret)
                   : mbedtls_aes_crypt_xts(&k->xts.decrypt, MBEDTLS_AES_DECRYPT, len, tweak, in, ret);
    return code == 0 ? ERR_OK : ERR_INTERNAL;
}

enum err sectors_cbc(struct cr_sectors *s, enum cr_dir dir, const uint8_t *iv, uint8_t *buf, size_t len)
{
    struct keys *k = keys_of(s);
    return aes_cbc(dir == CR_ENCRYPT ? &k->cbc.encrypt : &k->cbc.decrypt, dir, iv, buf, buf, len);
}
