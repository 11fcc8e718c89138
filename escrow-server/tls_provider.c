/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/tls_provider.h"
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <string.h>

#define KEPT_MAX 8
#define NAME     "keyholt-tls"

static OSSL_PROVIDER *whole; /* the default provider */
static OSSL_ALGORITHM decoders[KEPT_MAX + 1], kinds[KEPT_MAX + 1];

/* algorithm_names is a list, colons between. */
static int is_named(const OSSL_ALGORITHM *a, const char *name)
{
    size_t len = strlen(name);
    return strncmp(a->algorithm_names, name, len) == 0 &&
           (a->algorithm_names[len] == ':' || a->algorithm_names[len] == '\0');
}

static int is_spki(const OSSL_ALGORITHM *a)
{
    return strstr(a->property_definition, "input=der") != NULL &&
           strstr(a->property_definition, "structure=SubjectPublicKeyInfo") != NULL;
}

/* Copy those of an operation's algorithms that have one of the names. Returns how many. */
static unsigned keep(int operation, const char *const *names, OSSL_ALGORITHM ret[KEPT_MAX + 1])
{
    int no_cache = 0;
    unsigned n = 0;
    const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
    for (; a != NULL && a->algorithm_names != NULL; a++)
        for (const char *const *name = names; *name != NULL && n < KEPT_MAX; name++)
            if (is_named(a, *name) && (operation != OSSL_OP_DECODER || is_spki(a)))
                ret[n++] = *a;
    return n;
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    switch (operation) {
    case OSSL_OP_DECODER:
        return decoders;
    case OSSL_OP_KEYMGMT:
        return kinds;
    case OSSL_OP_ENCODER:
    case OSSL_OP_STORE:
        return NULL;
    default:
        return OSSL_PROVIDER_query_operation(whole, operation, no_cache);
    }
}

/* Which groups TLS can use. */
static int capabilities(void *provctx, const char *name, OSSL_CALLBACK *found, void *arg)
{
    (void)provctx;
    return OSSL_PROVIDER_get_capabilities(whole, name, found, arg);
}

static const OSSL_DISPATCH dispatch[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
    {0, NULL},
};

/* The algorithms are the default provider's, so they get its context. */
static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                 void **provctx)
{
    (void)handle, (void)in;
    *out = dispatch;
    *provctx = OSSL_PROVIDER_get0_provider_ctx(whole);
    return 1;
}

enum err tls_provider_open(OSSL_LIB_CTX **ret)
{
    static const char *const read[] = {"EC", NULL};
    static const char *const used[] = {"EC", "X25519", "HMAC", NULL}; /* HMAC: to resume a session */
    whole = OSSL_PROVIDER_load(NULL, "default");
    OSSL_LIB_CTX *ctx = OSSL_LIB_CTX_new();
    if (whole == NULL || ctx == NULL || keep(OSSL_OP_DECODER, read, decoders) == 0 ||
        keep(OSSL_OP_KEYMGMT, used, kinds) == 0 || OSSL_PROVIDER_add_builtin(ctx, NAME, start) != 1 ||
        OSSL_PROVIDER_load(ctx, NAME) == NULL) {
        OSSL_LIB_CTX_free(ctx);
        return ERR_INTERNAL;
    }
    *ret = ctx;
    return ERR_OK;
}
