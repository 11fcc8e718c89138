/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/aes.h"
#include "crypto/openssl/quiet.h"
#include "crypto/secret.h"
#include <limits.h>
#include <openssl/evp.h>

#define XTS_UNIT_MAX (16u << 20) /* IEEE 1619: at most 2^20 blocks in one data unit */

static const EVP_CIPHER *xts_cipher(size_t key_len)
{
    return key_len == 32 ? EVP_aes_128_xts() : key_len == 64 ? EVP_aes_256_xts() : NULL;
}

static enum err xts_start(enum cr_dir dir, const uint8_t *key, size_t key_len, EVP_CIPHER_CTX **ret)
{
    const EVP_CIPHER *cipher = xts_cipher(key_len);
    if (!cipher)
        return ERR_UNSUPPORTED;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return ERR_NOMEM;
    if (!EVP_CipherInit_ex2(ctx, cipher, key, NULL, dir == CR_ENCRYPT, NULL)) {
        EVP_CIPHER_CTX_free(ctx);
        return ERR_INTERNAL;
    }
    *ret = ctx;
    return ERR_OK;
}

static enum err xts_unit(EVP_CIPHER_CTX *ctx, const uint8_t *tweak, const uint8_t *in, uint8_t *ret, int len)
{
    int n = 0;
    if (!EVP_CipherInit_ex2(ctx, NULL, NULL, tweak, -1, NULL) || !EVP_CipherUpdate(ctx, ret, &n, in, len))
        return ERR_INTERNAL;
    return n == len ? ERR_OK : ERR_INTERNAL;
}

/* Equal halves make XTS weak; OpenSSL refuses to encrypt with them, and so does every back end of ours. */
static int weak(enum cr_dir dir, const uint8_t *key, size_t key_len)
{
    return dir == CR_ENCRYPT && cr_equal(key, key + key_len / 2, key_len / 2);
}

enum err cr_xts_unit(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t tweak[static 16],
                     const uint8_t *in, uint8_t *ret, size_t len)
{
    EVP_CIPHER_CTX *ctx;
    if (!xts_cipher(key_len))
        return ERR_UNSUPPORTED;
    if (len < 16 || len > XTS_UNIT_MAX || (in == ret && len % 16 != 0) || weak(dir, key, key_len))
        return ERR_RANGE;
    TRY(xts_start(dir, key, key_len, &ctx));
    enum err e = xts_unit(ctx, tweak, in, ret, (int)len);
    EVP_CIPHER_CTX_free(ctx);
    return e;
}

enum err cr_xts_sectors(enum cr_dir dir, const uint8_t *key, size_t key_len, uint64_t sector,
                        size_t sector_size, uint8_t *buf, size_t len)
{
    EVP_CIPHER_CTX *ctx;
    if (!xts_cipher(key_len))
        return ERR_UNSUPPORTED;
    if (sector_size < 512 || sector_size > 4096 || (sector_size & (sector_size - 1)) != 0 ||
        len % sector_size != 0 || weak(dir, key, key_len))
        return ERR_RANGE;
    TRY(xts_start(dir, key, key_len, &ctx));
    enum err e = ERR_OK;
    for (size_t off = 0; e == ERR_OK && off < len; off += sector_size) {
        uint64_t number = sector + off / 512;
        uint8_t tweak[16] = {0};
        for (size_t i = 0; i < 8; i++)
            tweak[i] = (uint8_t)(number >> (8 * i));
        e = xts_unit(ctx, tweak, buf + off, buf + off, (int)sector_size);
    }
    EVP_CIPHER_CTX_free(ctx);
    return e;
}

/* A context with key, IV and associated data taken in. */
static enum err gcm_start(int encrypt, const uint8_t *key, size_t key_len, const uint8_t *iv, const void *aad,
                          size_t aad_len, EVP_CIPHER_CTX **ret)
{
    const EVP_CIPHER *cipher = key_len == 16 ? EVP_aes_128_gcm() : key_len == 32 ? EVP_aes_256_gcm() : NULL;
    if (!cipher)
        return ERR_UNSUPPORTED;
    if (aad_len > INT_MAX)
        return ERR_RANGE;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return ERR_NOMEM;
    int n;
    if (!EVP_CipherInit_ex2(ctx, cipher, key, iv, encrypt, NULL) ||
        (aad_len && !EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len))) {
        EVP_CIPHER_CTX_free(ctx);
        return ERR_INTERNAL;
    }
    *ret = ctx;
    return ERR_OK;
}

enum err cr_gcm_seal(const uint8_t *key, size_t key_len, const uint8_t iv[static CR_GCM_IV], const void *aad,
                     size_t aad_len, const void *pt, size_t len, uint8_t *ret_ct,
                     uint8_t ret_tag[static CR_GCM_TAG])
{
    EVP_CIPHER_CTX *ctx;
    if (len > INT_MAX)
        return ERR_RANGE;
    TRY(gcm_start(1, key, key_len, iv, aad, aad_len, &ctx));
    int n = 0;
    uint8_t none[16];
    int ok = (len == 0 || EVP_CipherUpdate(ctx, ret_ct, &n, pt, (int)len)) &&
             EVP_CipherFinal_ex(ctx, none, &n) &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CR_GCM_TAG, ret_tag);
    EVP_CIPHER_CTX_free(ctx);
    return ok ? ERR_OK : ERR_INTERNAL;
}

enum err cr_gcm_open(const uint8_t *key, size_t key_len, const uint8_t iv[static CR_GCM_IV], const void *aad,
                     size_t aad_len, const void *ct, size_t len, const uint8_t tag[static CR_GCM_TAG],
                     uint8_t *ret_pt)
{
    OPENSSL_QUIET();
    EVP_CIPHER_CTX *ctx;
    if (len > INT_MAX)
        return ERR_RANGE;
    TRY(gcm_start(0, key, key_len, iv, aad, aad_len, &ctx));
    int n = 0;
    uint8_t none[16], want[CR_GCM_TAG];
    for (size_t i = 0; i < sizeof want; i++)
        want[i] = tag[i]; /* the call below takes no const */
    int ok = (len == 0 || EVP_CipherUpdate(ctx, ret_pt, &n, ct, (int)len)) &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CR_GCM_TAG, want) &&
             EVP_CipherFinal_ex(ctx, none, &n) > 0;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        cr_wipe(ret_pt, len);
    return ok ? ERR_OK : ERR_AUTH;
}
