/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/tls_hmac.h"
#include "crypto/secret.h"
#include "crypto/sha256_hmac.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
    uint8_t p[TLS_HMAC_MAX];
    size_t len;
};

struct hmac {
    struct bytes key, text;
    size_t size; /* of the hash; 0: not said yet */
};

static int append(struct bytes *b, const void *p, size_t len)
{
    if (len > sizeof b->p - b->len)
        return 0;
    if (len > 0)
        memcpy(b->p + b->len, p, len);
    b->len += len;
    return 1;
}

static int set(struct bytes *b, const void *p, size_t len)
{
    b->len = 0;
    return append(b, p, len);
}

static int set_digest(struct hmac *h, const char *name)
{
    static const struct {
        const char *name;
        size_t size;
    } known[] = {{"SHA2-256", 32}, {"SHA256", 32}, {"SHA2-384", 48}, {"SHA384", 48}};
    for (size_t i = 0; name != NULL && i < sizeof known / sizeof known[0]; i++)
        if (OPENSSL_strcasecmp(name, known[i].name) == 0) {
            h->size = known[i].size;
            return 1;
        }
    return 0;
}

static void *new_ctx(void *provctx)
{
    (void)provctx;
    return calloc(1, sizeof(struct hmac));
}

static void *dup_ctx(void *ctx)
{
    struct hmac *h = malloc(sizeof *h);
    if (h != NULL)
        memcpy(h, ctx, sizeof *h);
    return h;
}

static void free_ctx(void *ctx)
{
    if (ctx != NULL)
        cr_wipe(ctx, sizeof(struct hmac));
    free(ctx);
}

static int update(void *ctx, const unsigned char *p, size_t len)
{
    struct hmac *h = ctx;
    return append(&h->text, p, len);
}

static int final(void *ctx, unsigned char *out, size_t *ret_len, size_t room)
{
    const struct hmac *h = ctx;
    if (h->size == 0 || room < h->size)
        return 0;
    if (h->size == CR_SHA256_SIZE)
        cr_sha256_hmac(h->key.p, h->key.len, &(struct cr_part){h->text.p, h->text.len}, 1, out);
    else if (HMAC(EVP_sha384(), h->key.p, (int)h->key.len, h->text.p, h->text.len, out, NULL) == NULL)
        return 0;
    *ret_len = h->size;
    return 1;
}

/* As a MAC. */

static int set_params(void *ctx, const OSSL_PARAM params[])
{
    struct hmac *h = ctx;
    for (const OSSL_PARAM *p = params; p != NULL && p->key != NULL; p++)
        if (strcmp(p->key, OSSL_MAC_PARAM_DIGEST) == 0 &&
            (p->data_type != OSSL_PARAM_UTF8_STRING || !set_digest(h, p->data)))
            return 0;
    return 1;
}

static const OSSL_PARAM *settable(void *ctx, void *provctx)
{
    static const OSSL_PARAM all[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, NULL, 0), OSSL_PARAM_END};
    (void)ctx, (void)provctx;
    return all;
}

static int get_params(void *ctx, OSSL_PARAM params[])
{
    const struct hmac *h = ctx;
    OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_MAC_PARAM_SIZE);
    return p == NULL || OSSL_PARAM_set_size_t(p, h->size);
}

static int init(void *ctx, const unsigned char *key, size_t len, const OSSL_PARAM params[])
{
    struct hmac *h = ctx;
    h->text.len = 0;
    return set_params(ctx, params) && (key == NULL || set(&h->key, key, len));
}

const OSSL_DISPATCH tls_hmac_functions[] = {
    {OSSL_FUNC_MAC_NEWCTX, (void (*)(void))new_ctx},
    {OSSL_FUNC_MAC_DUPCTX, (void (*)(void))dup_ctx},
    {OSSL_FUNC_MAC_FREECTX, (void (*)(void))free_ctx},
    {OSSL_FUNC_MAC_INIT, (void (*)(void))init},
    {OSSL_FUNC_MAC_UPDATE, (void (*)(void))update},
    {OSSL_FUNC_MAC_FINAL, (void (*)(void)) final},
    {OSSL_FUNC_MAC_GET_CTX_PARAMS, (void (*)(void))get_params},
    {OSSL_FUNC_MAC_SET_CTX_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_MAC_SETTABLE_CTX_PARAMS, (void (*)(void))settable},
    {0, NULL},
};

/* As a key, */

static void *key_new(void *provctx)
{
    (void)provctx;
    return calloc(1, sizeof(struct bytes));
}

static void key_free(void *key)
{
    if (key != NULL)
        cr_wipe(key, sizeof(struct bytes));
    free(key);
}

static int key_has(const void *key, int selection)
{
    const struct bytes *k = key;
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || k->len > 0;
}

static int key_import(void *key, int selection, const OSSL_PARAM params[])
{
    const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PRIV_KEY);
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && p != NULL &&
           p->data_type == OSSL_PARAM_OCTET_STRING && set(key, p->data, p->data_size);
}

static const OSSL_PARAM *key_import_types(int selection)
{
    static const OSSL_PARAM all[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, NULL, 0),
                                     OSSL_PARAM_END};
    return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? all : NULL;
}

const OSSL_DISPATCH tls_hmac_key_functions[] = {
    {OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new},
    {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))key_free},
    {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))key_has},
    {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))key_import},
    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))key_import_types},
    {0, NULL},
};

/* and as what signs with it. */

static void *sign_new(void *provctx, const char *properties)
{
    (void)properties;
    return new_ctx(provctx);
}

static int sign_init(void *ctx, const char *digest, void *key, const OSSL_PARAM params[])
{
    struct hmac *h = ctx;
    const struct bytes *k = key;
    (void)params;
    h->text.len = 0;
    return set_digest(h, digest) && (k == NULL || set(&h->key, k->p, k->len));
}

/* out: NULL (only its length is asked for) */
static int sign_final(void *ctx, unsigned char *out, size_t *ret_len, size_t room)
{
    const struct hmac *h = ctx;
    if (out != NULL)
        return final(ctx, out, ret_len, room);
    *ret_len = h->size;
    return h->size != 0;
}

const OSSL_DISPATCH tls_hmac_sign_functions[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))sign_new},
    {OSSL_FUNC_SIGNATURE_DUPCTX, (void (*)(void))dup_ctx},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))free_ctx},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))sign_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_UPDATE, (void (*)(void))update},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_FINAL, (void (*)(void))sign_final},
    {0, NULL},
};
