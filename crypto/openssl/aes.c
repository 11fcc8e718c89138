/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/openssl/aes.h"
#include <limits.h>

static const EVP_CIPHER *cipher_of(enum aes_mode mode, size_t key_len)
{
    switch (mode) {
    case AES_ECB:
        return key_len == 16 ? EVP_aes_128_ecb() : key_len == 32 ? EVP_aes_256_ecb() : NULL;
    case AES_CBC:
        return key_len == 16 ? EVP_aes_128_cbc() : key_len == 32 ? EVP_aes_256_cbc() : NULL;
    case AES_XTS:
        return key_len == 32 ? EVP_aes_128_xts() : key_len == 64 ? EVP_aes_256_xts() : NULL;
    }
    return NULL;
}

enum err aes_start(enum cr_dir dir, enum aes_mode mode, const uint8_t *key, size_t key_len, const uint8_t *iv,
                   EVP_CIPHER_CTX **ret)
{
    const EVP_CIPHER *cipher = cipher_of(mode, key_len);
    if (!cipher)
        return ERR_UNSUPPORTED;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return ERR_NOMEM;
    if (!EVP_CipherInit_ex2(ctx, cipher, key, iv, dir == CR_ENCRYPT, NULL) ||
        !EVP_CIPHER_CTX_set_padding(ctx, 0)) {
        EVP_CIPHER_CTX_free(ctx);
        return ERR_INTERNAL;
    }
    *ret = ctx;
    return ERR_OK;
}

enum err aes_run(EVP_CIPHER_CTX *ctx, const uint8_t *iv, const uint8_t *in, uint8_t *ret, size_t len)
{
    int n = 0;
    if (len > INT_MAX)
        return ERR_RANGE;
    if (iv && !EVP_CipherInit_ex2(ctx, NULL, NULL, iv, -1, NULL))
        return ERR_INTERNAL;
    return EVP_CipherUpdate(ctx, ret, &n, in, (int)len) && (size_t)n == len ? ERR_OK : ERR_INTERNAL;
}

static enum err once(enum cr_dir dir, enum aes_mode mode, const uint8_t *key, size_t key_len,
                     const uint8_t *iv, const uint8_t *in, uint8_t *ret, size_t len)
{
    EVP_CIPHER_CTX *ctx;
    if (len % CR_AES_BLOCK != 0 || len > INT_MAX)
        return ERR_RANGE;
    TRY(aes_start(dir, mode, key, key_len, iv, &ctx));
    enum err e = len ? aes_run(ctx, iv, in, ret, len) : ERR_OK;
    EVP_CIPHER_CTX_free(ctx);
    return e;
}

enum err cr_ecb(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t *in, uint8_t *ret,
                size_t len)
{
    return once(dir, AES_ECB, key, key_len, NULL, in, ret, len);
}

enum err cr_cbc(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t iv[static CR_AES_BLOCK],
                const uint8_t *in, uint8_t *ret, size_t len)
{
    return once(dir, AES_CBC, key, key_len, iv, in, ret, len);
}
