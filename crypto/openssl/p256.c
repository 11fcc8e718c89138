/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/openssl/p256_key.h"
#include "crypto/openssl/quiet.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <stdatomic.h>
#include <string.h>

#define POINT_UNCOMPRESSED 4

/* The curve, made once and only read: to make it takes longer than most of what is done with it (11 us of a
 * verification's 62). NULL without memory. */
static const EC_GROUP *curve(void)
{
    static _Atomic(EC_GROUP *) made;
    EC_GROUP *none = NULL, *group = atomic_load(&made);
    if (group != NULL)
        return group;
    group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    if (group == NULL || atomic_compare_exchange_strong(&made, &none, group))
        return group;
    EC_GROUP_free(group); /* another thread was first */
    return none;
}

enum err p256_pkey(const struct cr_p256_pub *pub, const BIGNUM *scalar, EVP_PKEY **ret)
{
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    int ok = bld && ctx &&
             OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1, 0) &&
             OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, pub->point, CR_P256_POINT) &&
             (!scalar || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, scalar)) &&
             (params = OSSL_PARAM_BLD_to_param(bld)) != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
             EVP_PKEY_fromdata(ctx, &pkey, scalar ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) == 1;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX_free(ctx);
    if (!ok)
        return ERR_FORMAT;
    *ret = pkey;
    return ERR_OK;
}

/* A public key to be copied: it brings its curve, which building a key from parameters makes anew. */
static EVP_PKEY *pattern(const struct cr_p256_pub *pub)
{
    static _Atomic(EVP_PKEY *) made;
    EVP_PKEY *none = NULL, *key = atomic_load(&made);
    if (key != NULL || p256_pkey(pub, NULL, &key) != ERR_OK ||
        atomic_compare_exchange_strong(&made, &none, key))
        return key;
    EVP_PKEY_free(key); /* another thread was first */
    return none;
}

enum err p256_public_pkey(const struct cr_p256_pub *pub, EVP_PKEY **ret)
{
    TRY(cr_p256_check(pub));
    EVP_PKEY *from = pattern(pub), *key = from != NULL ? EVP_PKEY_dup(from) : NULL;
    if (key == NULL)
        return ERR_NOMEM;
    if (EVP_PKEY_set1_encoded_public_key(key, pub->point, CR_P256_POINT) != 1) {
        EVP_PKEY_free(key);
        return ERR_FORMAT;
    }
    *ret = key;
    return ERR_OK;
}

/* Public point of a scalar that is known to lie in 1..n-1. */
static int point_of(const EC_GROUP *group, const BIGNUM *scalar, struct cr_p256_pub *ret)
{
    EC_POINT *point = EC_POINT_new(group);
    int ok = point && EC_POINT_mul(group, point, scalar, NULL, NULL, NULL) &&
             EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, ret->point, CR_P256_POINT,
                                NULL) == CR_P256_POINT;
    EC_POINT_free(point);
    return ok;
}

/* Key of a scalar; group and scalar are the caller's. */
static enum err key_from(const EC_GROUP *group, const BIGNUM *scalar, struct cr_p256_key **ret)
{
    struct cr_p256_pub pub;
    if (BN_is_zero(scalar) || BN_cmp(scalar, EC_GROUP_get0_order(group)) >= 0)
        return ERR_RANGE;
    if (!point_of(group, scalar, &pub))
        return ERR_INTERNAL;
    struct cr_p256_key *key = OPENSSL_zalloc(sizeof *key);
    if (!key)
        return ERR_NOMEM;
    key->pub = pub;
    enum err e = p256_pkey(&pub, scalar, &key->pkey);
    if (e != ERR_OK)
        OPENSSL_free(key);
    else
        *ret = key;
    return e;
}

enum err cr_p256_from_scalar(const uint8_t scalar[static CR_P256_SCALAR], struct cr_p256_key **ret)
{
    OPENSSL_QUIET();
    const EC_GROUP *group = curve();
    BIGNUM *k = BN_secure_new();
    enum err e = ERR_NOMEM;
    if (group && k && BN_bin2bn(scalar, CR_P256_SCALAR, k)) {
        BN_set_flags(k, BN_FLG_CONSTTIME);
        e = key_from(group, k, ret);
    }
    BN_clear_free(k);
    return e;
}

enum err p256_scalar(const EVP_PKEY *pkey, uint8_t ret[static CR_P256_SCALAR])
{
    char group[32];
    BIGNUM *k = NULL;
    enum err e = ERR_FORMAT;
    if (EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 &&
        strcmp(group, SN_X9_62_prime256v1) == 0 &&
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &k) == 1 &&
        BN_bn2binpad(k, ret, CR_P256_SCALAR) == CR_P256_SCALAR)
        e = ERR_OK;
    BN_clear_free(k);
    return e;
}

enum err cr_p256_generate(struct cr_p256_key **ret)
{
    EVP_PKEY *pkey = EVP_EC_gen(SN_X9_62_prime256v1);
    if (!pkey)
        return ERR_INTERNAL;
    uint8_t scalar[CR_P256_SCALAR];
    enum err e = p256_scalar(pkey, scalar);
    EVP_PKEY_free(pkey);
    if (e == ERR_OK)
        e = cr_p256_from_scalar(scalar, ret);
    cr_wipe(scalar, sizeof scalar);
    return e;
}

enum err cr_p256_from_outside(const struct cr_p256_pub *pub, const struct cr_p256_outside *outside,
                              struct cr_p256_key **ret)
{
    TRY(cr_p256_check(pub));
    struct cr_p256_key *key = OPENSSL_zalloc(sizeof *key);
    if (!key)
        return ERR_NOMEM;
    key->pub = *pub;
    key->outside = *outside;
    *ret = key;
    return ERR_OK;
}

void cr_p256_free(struct cr_p256_key *key)
{
    if (!key)
        return;
    if (key->outside.close)
        key->outside.close(key->outside.ctx);
    EVP_PKEY_free(key->pkey); /* clears the scalar */
    OPENSSL_free(key);
}

enum err cr_p256_public(const struct cr_p256_key *key, struct cr_p256_pub *ret)
{
    *ret = key->pub;
    return ERR_OK;
}

struct evp_pkey_st *cr_p256_pkey(const struct cr_p256_key *key)
{
    return key->pkey;
}

enum err cr_p256_check(const struct cr_p256_pub *pub)
{
    OPENSSL_QUIET();
    if (pub->point[0] != POINT_UNCOMPRESSED)
        return ERR_FORMAT; /* OpenSSL would also take the hybrid forms 06 and 07 */
    const EC_GROUP *group = curve();
    EC_POINT *point = group ? EC_POINT_new(group) : NULL;
    enum err e = ERR_NOMEM;
    if (point) /* fails for a point that is not on the curve; the cofactor is 1, so that is all */
        e = EC_POINT_oct2point(group, point, pub->point, CR_P256_POINT, NULL) ? ERR_OK : ERR_FORMAT;
    EC_POINT_free(point);
    return e;
}

enum err cr_p256_ecdh(const struct cr_p256_key *key, const struct cr_p256_pub *peer,
                      uint8_t ret[static CR_P256_SHARED])
{
    OPENSSL_QUIET();
    EVP_PKEY *other;
    if (key->outside.ecdh) {
        TRY(cr_p256_check(peer));
        return key->outside.ecdh(key->outside.ctx, peer, ret);
    }
    TRY(p256_public_pkey(peer, &other));
    uint8_t shared[CR_P256_SHARED];
    size_t len = sizeof shared;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    int ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, other) == 1 &&
             EVP_PKEY_derive(ctx, shared, &len) == 1 && len == sizeof shared;
    if (ok)
        memcpy(ret, shared, sizeof shared);
    cr_wipe(shared, sizeof shared);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(other);
    return ok ? ERR_OK : ERR_INTERNAL;
}
