/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/openssl/p256_key.h"
#include "crypto/openssl/quiet.h"
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <string.h>

#define DER_SIG_MAX 72 /* two integers of at most 33 bytes, three headers of 2 */

/* DER ECDSA-Sig-Value to raw r ‖ s. */
static enum err raw_from_der(const uint8_t *der, size_t len, uint8_t ret[static CR_P256_SIG])
{
    const uint8_t *p = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
    uint8_t raw[CR_P256_SIG];
    int ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 32) == 32 &&
             BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 32, 32) == 32;
    if (ok)
        memcpy(ret, raw, sizeof raw);
    ECDSA_SIG_free(sig);
    return ok ? ERR_OK : ERR_INTERNAL;
}

enum err cr_p256_sign(const struct cr_p256_key *key, const void *msg, size_t len,
                      uint8_t ret_sig[static CR_P256_SIG])
{
    if (!key->pkey) /* it is outside */
        return ERR_UNSUPPORTED;
    uint8_t der[DER_SIG_MAX], digest[32];
    size_t der_len = sizeof der;
    TRY(cr_sha256(msg, len, digest));
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    if (!ctx)
        return ERR_NOMEM;
    int ok = EVP_PKEY_sign_init(ctx) == 1 && EVP_PKEY_sign(ctx, der, &der_len, digest, sizeof digest) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok ? raw_from_der(der, der_len, ret_sig) : ERR_INTERNAL;
}

/* Raw r ‖ s to DER; *ret is freed with OPENSSL_free(). */
static enum err der_from_raw(const uint8_t raw[static CR_P256_SIG], uint8_t **ret, size_t *ret_len)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, 32, NULL), *s = BN_bin2bn(raw + 32, 32, NULL);
    if (!sig || !r || !s || !ECDSA_SIG_set0(sig, r, s)) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(sig);
        return ERR_NOMEM;
    }
    unsigned char *der = NULL;
    int len = i2d_ECDSA_SIG(sig, &der); /* sig owns r and s now */
    ECDSA_SIG_free(sig);
    if (len <= 0)
        return ERR_NOMEM;
    *ret = der;
    *ret_len = (size_t)len;
    return ERR_OK;
}

/* The digest is ours: EVP_DigestVerify() would look for its algorithm anew each time. */
static enum err verify(EVP_PKEY *pkey, const uint8_t digest[static 32], const uint8_t *der, size_t der_len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (!ctx)
        return ERR_NOMEM;
    int good = EVP_PKEY_verify_init(ctx) == 1 && EVP_PKEY_verify(ctx, der, der_len, digest, 32) == 1;
    EVP_PKEY_CTX_free(ctx);
    return good ? ERR_OK : ERR_AUTH;
}

enum err cr_p256_verify(const struct cr_p256_pub *pub, const void *msg, size_t len,
                        const uint8_t sig[static CR_P256_SIG])
{
    OPENSSL_QUIET();
    uint8_t *der, digest[32];
    size_t der_len;
    EVP_PKEY *pkey;
    TRY(cr_sha256(msg, len, digest));
    enum err e = p256_public_pkey(pub, &pkey);
    if (e != ERR_OK)
        return e == ERR_NOMEM ? e : ERR_AUTH;
    e = der_from_raw(sig, &der, &der_len);
    if (e == ERR_OK) {
        e = verify(pkey, digest, der, der_len);
        OPENSSL_free(der);
    }
    EVP_PKEY_free(pkey);
    return e;
}
