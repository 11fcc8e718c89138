/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ECB and CBC of one message, CCM. Nothing in firmware needs GCM, and nothing there seals. */
#include "crypto/aes.h"
#include "crypto/mbedtls/keys.h"
#include "crypto/reveal.h"
#include "crypto/secret.h"
#include <mbedtls/ccm.h>

enum err aes_key(mbedtls_aes_context *ctx, enum cr_dir dir, const uint8_t *key, size_t key_len)
{
    if (key_len != 16 && key_len != 32)
        return ERR_UNSUPPORTED;
    unsigned bits = (unsigned)key_len * 8;
    mbedtls_aes_init(ctx);
    int code =
        dir == CR_ENCRYPT ? mbedtls_aes_setkey_enc(ctx, key, bits) : mbedtls_aes_setkey_dec(ctx, key, bits);
    return code == 0 ? ERR_OK : ERR_INTERNAL;
}

enum err aes_ecb(mbedtls_aes_context *ctx, enum cr_dir dir, const uint8_t *in, uint8_t *ret, size_t len)
{
    int mode = dir == CR_ENCRYPT ? MBEDTLS_AES_ENCRYPT : MBEDTLS_AES_DECRYPT;
    for (size_t off = 0; off < len; off += CR_AES_BLOCK)
        if (mbedtls_aes_crypt_ecb(ctx, mode, in + off, ret + off) != 0)
            return ERR_INTERNAL;
    return ERR_OK;
}

enum err aes_cbc(mbedtls_aes_context *ctx, enum cr_dir dir, const uint8_t *iv, const uint8_t *in,
                 uint8_t *ret, size_t len)
{
    int mode = dir == CR_ENCRYPT ? MBEDTLS_AES_ENCRYPT : MBEDTLS_AES_DECRYPT;
    uint8_t chain[CR_AES_BLOCK]; /* the library moves it on */
    for (size_t i = 0; i < sizeof chain; i++)
        chain[i] = iv[i];
    return mbedtls_aes_crypt_cbc(ctx, mode, len, chain, in, ret) == 0 ? ERR_OK : ERR_INTERNAL;
}

enum err cr_ecb(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t *in, uint8_t *ret,
                size_t len)
{
    mbedtls_aes_context ctx;
    if (len % CR_AES_BLOCK != 0)
        return ERR_RANGE;
    TRY(aes_key(&ctx, dir, key, key_len));
    enum err e = aes_ecb(&ctx, dir, in, ret, len);
    mbedtls_aes_free(&ctx); /* wipes */
    return e;
}

enum err cr_cbc(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t iv[static CR_AES_BLOCK],
                const uint8_t *in, uint8_t *ret, size_t len)
{
    mbedtls_aes_context ctx;
    if (len % CR_AES_BLOCK != 0)
        return ERR_RANGE;
    TRY(aes_key(&ctx, dir, key, key_len));
    enum err e = aes_cbc(&ctx, dir, iv, in, ret, len);
    mbedtls_aes_free(&ctx);
    return e;
}

enum err cr_ccm_open(const uint8_t *key, size_t key_len, const uint8_t nonce[static CR_CCM_NONCE],
                     const void *aad, size_t aad_len, const void *ct, size_t len,
                     const uint8_t tag[static CR_CCM_TAG], uint8_t *ret_pt)
{
    mbedtls_ccm_context ctx;
    if (key_len != 16 && key_len != 32)
        return ERR_UNSUPPORTED;
    if (len > CR_CCM_MAX || aad_len > CR_CCM_MAX)
        return ERR_RANGE;
    mbedtls_ccm_init(&ctx);
    enum err e = ERR_NOMEM; /* the library allocates the key schedule: all that can fail here */
    if (mbedtls_ccm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, (unsigned)key_len * 8) == 0) {
        int code = mbedtls_ccm_auth_decrypt(&ctx, len, nonce, CR_CCM_NONCE, aad, aad_len, ct, ret_pt, tag,
                                            CR_CCM_TAG); /* wipes ret_pt when the tag is wrong */
        cr_reveal(&code, sizeof code);
        e = code == 0 ? ERR_OK : code == MBEDTLS_ERR_CCM_AUTH_FAILED ? ERR_AUTH : ERR_INTERNAL;
    }
    mbedtls_ccm_free(&ctx);
    return e;
}
