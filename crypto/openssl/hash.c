/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/pbkdf2.h"
#include "crypto/secret.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

static const EVP_MD *digest_of(enum cr_hash alg)
{
    switch (alg) {
    case CR_SHA1:
        return EVP_sha1();
    case CR_SHA256:
        return EVP_sha256();
    case CR_SHA512:
        return EVP_sha512();
    }
    return NULL;
}

size_t cr_hash_size(enum cr_hash alg)
{
    switch (alg) {
    case CR_SHA1:
        return 20;
    case CR_SHA256:
        return CR_SHA256_SIZE;
    case CR_SHA512:
        return 64;
    }
    return 0;
}

enum err cr_hash_parts(enum cr_hash alg, const struct cr_part *parts, size_t n, uint8_t *ret)
{
    const EVP_MD *md = digest_of(alg);
    if (!md)
        return ERR_UNSUPPORTED;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx)
        return ERR_NOMEM;
    uint8_t out[EVP_MAX_MD_SIZE];
    int ok = EVP_DigestInit_ex(ctx, md, NULL);
    for (size_t i = 0; ok && i < n; i++)
        ok = parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].len);
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL);
    EVP_MD_CTX_free(ctx);
    if (ok)
        memcpy(ret, out, cr_hash_size(alg));
    cr_wipe(out, sizeof out);
    return ok ? ERR_OK : ERR_INTERNAL;
}

enum err cr_sha256(const void *p, size_t len, uint8_t ret[static CR_SHA256_SIZE])
{
    return cr_hash_parts(CR_SHA256, &(struct cr_part){p, len}, 1, ret);
}

/* Run a keyed context over all parts; out has room for EVP_MAX_MD_SIZE bytes. */
static int mac_parts(EVP_MAC_CTX *ctx, const struct cr_part *parts, size_t n, uint8_t *out)
{
    size_t len;
    for (size_t i = 0; i < n; i++)
        if (parts[i].len != 0 && !EVP_MAC_update(ctx, parts[i].p, parts[i].len))
            return 0;
    return EVP_MAC_final(ctx, out, &len, EVP_MAX_MD_SIZE);
}

enum err cr_hmac(enum cr_hash alg, const void *key, size_t key_len, const struct cr_part *parts, size_t n,
                 uint8_t *ret)
{
    const EVP_MD *md = digest_of(alg);
    if (!md)
        return ERR_UNSUPPORTED;
    char name[16] = "";
    strncat(name, EVP_MD_get0_name(md), sizeof name - 1);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_END};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;
    uint8_t out[EVP_MAX_MD_SIZE];
    /* A NULL key would mean "keep the one you have": an empty key needs an address. */
    const void *k = key_len ? key : "";
    int ok = ctx && EVP_MAC_init(ctx, k, key_len, params) && mac_parts(ctx, parts, n, out);
    if (ok)
        memcpy(ret, out, cr_hash_size(alg));
    cr_wipe(out, sizeof out);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return ok ? ERR_OK : ERR_INTERNAL;
}

enum err pbkdf2_library(enum cr_hash alg, const struct cr_part *password, const struct cr_part *salt,
                        uint32_t iterations, uint8_t *ret, size_t len)
{
    return PKCS5_PBKDF2_HMAC(password->len ? password->p : "", (int)password->len,
                             salt->len ? salt->p : (const uint8_t *)"", (int)salt->len, (int)iterations,
                             digest_of(alg), (int)len, ret)
               ? ERR_OK
               : ERR_INTERNAL;
}
