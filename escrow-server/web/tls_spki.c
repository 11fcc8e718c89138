/* SPDX-License-Identifier: GPL-3.0-or-later */
#define OPENSSL_SUPPRESS_DEPRECATED /* EC_KEY: it is what the functions of OpenSSL's "EC" take */
#include "escrow-server/web/tls_spki.h"
#include "crypto/p256.h"
#include "escrow-server/web/tls_dispatch.h"
#include "escrow-server/web/tls_no_ctx.h"
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>

static OSSL_FUNC_BIO_read_ex_fn *read_some;
static EC_KEY *blank; /* a key without a point; it has the curve */

enum err tls_spki_over(const OSSL_DISPATCH *in)
{
    read_some = OSSL_FUNC_BIO_read_ex(tls_dispatch_at(in, OSSL_FUNC_BIO_READ_EX));
    if (read_some == NULL)
        return ERR_UNSUPPORTED;
    if (blank == NULL)
        blank = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    return blank != NULL ? ERR_OK : ERR_NOMEM;
}

/* It is nothing but head and point, so it is what its point would be written as. */
static bool read_point(OSSL_CORE_BIO *from, struct cr_p256_pub *ret)
{
    uint8_t der[CR_P256_SPKI + 1], same[CR_P256_SPKI];
    size_t len = 0, n;
    while (len < sizeof der && read_some(from, der + len, sizeof der - len, &n) == 1 && n > 0)
        len += n;
    if (len != CR_P256_SPKI)
        return false;
    memcpy(ret->point, der + CR_P256_SPKI - CR_P256_POINT, CR_P256_POINT);
    return ret->point[0] == POINT_CONVERSION_UNCOMPRESSED && cr_p256_to_spki(ret, same) == ERR_OK &&
           memcmp(same, der, sizeof same) == 0;
}

/* NULL: not on the curve, or no memory */
static EC_KEY *make_key(const struct cr_p256_pub *pub)
{
    EC_KEY *key = EC_KEY_dup(blank);
    if (key != NULL && EC_KEY_oct2key(key, pub->point, sizeof pub->point, NULL) == 1)
        return key;
    EC_KEY_free(key);
    return NULL;
}

/* Whoever takes the key leaves NULL in its place. */
static int hand_over(EC_KEY *key, OSSL_CALLBACK *take, void *arg)
{
    int type = OSSL_OBJECT_PKEY;
    char name[] = "EC";
    const OSSL_PARAM object[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof key),
        OSSL_PARAM_construct_end(),
    };
    int ok = take(object, arg);
    EC_KEY_free(key);
    return ok;
}

/* 1: what it read is not for it; somebody else may try. */
static int decode(void *ctx, OSSL_CORE_BIO *from, int selection, OSSL_CALLBACK *take, void *arg,
                  OSSL_PASSPHRASE_CALLBACK *ask, void *ask_arg)
{
    struct cr_p256_pub pub;
    (void)ctx, (void)selection, (void)ask, (void)ask_arg;
    EC_KEY *key = read_point(from, &pub) ? make_key(&pub) : NULL;
    return key == NULL ? 1 : hand_over(key, take, arg);
}

const OSSL_DISPATCH tls_spki_functions[] = {
    {OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))tls_no_ctx},
    {OSSL_FUNC_DECODER_FREECTX, (void (*)(void))tls_free_no_ctx},
    {OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode},
    {0, NULL},
};
