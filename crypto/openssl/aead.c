/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES-GCM and AES-CCM. */
#include "crypto/aes.h"
#include "crypto/openssl/quiet.h"
#include "crypto/secret.h"
#include <limits.h>
#include <openssl/evp.h>

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

/* A context that knows sizes, tag (opening) or its length (sealing), key, nonce and associated data, in the
 * order that CCM needs them. */
static enum err ccm_start(int encrypt, const uint8_t *key, size_t key_len, const uint8_t *nonce,
                          const void *aad, size_t aad_len, size_t len, uint8_t *tag, EVP_CIPHER_CTX **ret)
{
    const EVP_CIPHER *cipher = key_len == 16 ? EVP_aes_128_ccm() : key_len == 32 ? EVP_aes_256_ccm() : NULL;
    if (!cipher)
        return ERR_UNSUPPORTED;
    if (len > CR_CCM_MAX || aad_len > CR_CCM_MAX)
        return ERR_RANGE;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return ERR_NOMEM;
    int n;
    if (!EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, encrypt, NULL) ||
        !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, CR_CCM_NONCE, NULL) ||
        !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CR_CCM_TAG, tag) ||
        !EVP_CipherInit_ex2(ctx, NULL, key, nonce, -1, NULL) ||
        !EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)len) ||
        (aad_len && !EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len))) {
        EVP_CIPHER_CTX_free(ctx);
        return ERR_INTERNAL;
    }
    *ret = ctx;
    return ERR_OK;
}

enum err cr_ccm_open(const uint8_t *key, size_t key_len, const uint8_t nonce[static CR_CCM_NONCE],
                     const void *aad, size_t aad_len, const void *ct, size_t len,
                     const uint8_t tag[static CR_CCM_TAG], uint8_t *ret_pt)
{
    OPENSSL_QUIET();
    EVP_CIPHER_CTX *ctx;
    uint8_t want[CR_CCM_TAG], none[CR_AES_BLOCK];
    int n = 0;
    for (size_t i = 0; i < sizeof want; i++)
        want[i] = tag[i]; /* the call takes no const */
    TRY(ccm_start(0, key, key_len, nonce, aad, aad_len, len, want, &ctx));
    /* The tag is compared by the one update there is, an empty one too; it needs addresses. */
    int ok = EVP_CipherUpdate(ctx, len ? ret_pt : none, &n, len ? ct : none, (int)len) > 0;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        cr_wipe(ret_pt, len);
    return ok ? ERR_OK : ERR_AUTH;
}

enum err cr_ccm_seal(const uint8_t *key, size_t key_len, const uint8_t nonce[static CR_CCM_NONCE],
                     const void *aad, size_t aad_len, const void *pt, size_t len, uint8_t *ret_ct,
                     uint8_t ret_tag[static CR_CCM_TAG])
{
    EVP_CIPHER_CTX *ctx;
    uint8_t none[CR_AES_BLOCK];
    int n = 0;
    TRY(ccm_start(1, key, key_len, nonce, aad, aad_len, len, NULL, &ctx));
    int ok = EVP_CipherUpdate(ctx, len ? ret_ct : none, &n, len ? pt : none, (int)len) > 0 &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CR_CCM_TAG, ret_tag);
    EVP_CIPHER_CTX_free(ctx);
    return ok ? ERR_OK : ERR_INTERNAL;
}
