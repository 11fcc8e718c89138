/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/tls_provider.h"
#include "escrow-server/web/tls_hmac.h"
#include "escrow-server/web/tls_kdf.h"
#include "escrow-server/web/tls_random.h"
#include "escrow-server/web/tls_spki.h"
#include "escrow-server/web/tls_x25519.h"
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <string.h>

#define KEPT_MAX 4
#define NAME     "keyholt-tls"

/* What a handshake of TLS 1.3 can need: OpenSSL looks through all that there is whenever it reads a key. */
static const struct {
    int operation;
    const char *names[KEPT_MAX + 1];
} wanted[] = {
    {OSSL_OP_DIGEST, {"SHA1", "SHA2-256", "SHA2-384"}}, /* SHA1: names a certificate */
    {OSSL_OP_CIPHER, {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"}},
    {OSSL_OP_MAC, {"HMAC"}},
    {OSSL_OP_KDF, {"HKDF", "TLS13-KDF"}},
    {OSSL_OP_RAND, {"CTR-DRBG", "SEED-SRC"}},
    {OSSL_OP_KEYMGMT, {"EC", "X25519", "HMAC"}}, /* HMAC: to resume a session */
    {OSSL_OP_KEYEXCH, {"ECDH", "X25519"}},
    {OSSL_OP_SIGNATURE, {"ECDSA", "HMAC"}},
    {OSSL_OP_DECODER, {"EC"}},
};
#define N_WANTED (sizeof wanted / sizeof wanted[0])

static OSSL_PROVIDER *whole; /* the default provider */
static OSSL_ALGORITHM kept[N_WANTED][KEPT_MAX + 1];

/* algorithm_names is a list, colons between. */
static int is_named(const OSSL_ALGORITHM *a, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = a->algorithm_names; at != NULL; at = strchr(at, ':')) {
        at += *at == ':';
        if (strncmp(at, name, len) == 0 && (at[len] == ':' || at[len] == '\0'))
            return 1;
    }
    return 0;
}

static int is_spki(const OSSL_ALGORITHM *a)
{
    return strstr(a->property_definition, "input=der") != NULL &&
           strstr(a->property_definition, "structure=SubjectPublicKeyInfo") != NULL;
}

static const OSSL_ALGORITHM *find(const OSSL_ALGORITHM *a, int operation, const char *name)
{
    for (; a != NULL && a->algorithm_names != NULL; a++)
        if (is_named(a, name) && (operation != OSSL_OP_DECODER || is_spki(a)))
            return a;
    return NULL;
}

static const OSSL_DISPATCH *hmac(int operation)
{
    switch (operation) {
    case OSSL_OP_MAC:
        return tls_hmac_functions;
    case OSSL_OP_KEYMGMT:
        return tls_hmac_key_functions;
    default: /* OSSL_OP_SIGNATURE */
        return tls_hmac_sign_functions;
    }
}

static const OSSL_DISPATCH *x25519(const OSSL_ALGORITHM *keys)
{
    int no_cache = 0;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(whole, OSSL_OP_KEYEXCH, &no_cache);
    const OSSL_ALGORITHM *exchange = find(all, OSSL_OP_KEYEXCH, "X25519");
    bool ok = exchange != NULL && tls_x25519_over(keys->implementation, exchange->implementation,
                                                  OSSL_PROVIDER_get0_provider_ctx(whole)) == ERR_OK;
    return ok ? tls_x25519_functions() : keys->implementation;
}

/* Where OpenSSL's own way takes much longer than what there is to do. */
static const OSSL_DISPATCH *ours(const OSSL_ALGORITHM *a, int operation, const char *name)
{
    if (operation == OSSL_OP_DECODER && OPENSSL_version_major() == 3) /* whose "EC" takes an EC_KEY */
        return tls_spki_functions;
    if (strcmp(name, "HMAC") == 0)
        return hmac(operation);
    if (operation == OSSL_OP_KEYMGMT && strcmp(name, "X25519") == 0)
        return x25519(a);
    if (operation == OSSL_OP_KDF && strcmp(name, "TLS13-KDF") == 0 &&
        tls_kdf_over(a->implementation, OSSL_PROVIDER_get0_provider_ctx(whole)) == ERR_OK)
        return tls_kdf_functions;
    return a->implementation;
}

/* Copy those of the default provider's algorithms that are wanted. Does it have all of them? */
static int keep_wanted(void)
{
    int no_cache = 0;
    for (size_t i = 0; i < N_WANTED; i++) {
        int operation = wanted[i].operation;
        const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
        for (size_t n = 0; wanted[i].names[n] != NULL; n++) {
            const OSSL_ALGORITHM *a = find(all, operation, wanted[i].names[n]);
            if (a == NULL)
                return 0;
            kept[i][n] = *a;
            kept[i][n].implementation = ours(a, operation, wanted[i].names[n]);
        }
    }
    return 1;
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
    (void)provctx;
    *no_cache = 0;
    for (size_t i = 0; i < N_WANTED; i++)
        if (wanted[i].operation == operation)
            return kept[i];
    return NULL;
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
    (void)handle;
    *out = dispatch;
    *provctx = OSSL_PROVIDER_get0_provider_ctx(whole);
    return tls_spki_over(in) == ERR_OK;
}

enum err tls_provider_begin(void)
{
    const uint64_t none = OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS;
    bool ok = OPENSSL_init_crypto(none, NULL) == 1 && EVP_add_digest(EVP_sha256()) == 1 &&
              EVP_add_digest(EVP_sha384()) == 1 && EVP_add_digest(EVP_sha512()) == 1;
    return ok && tls_random_begin() == ERR_OK ? ERR_OK : ERR_INTERNAL;
}

enum err tls_provider_open(OSSL_LIB_CTX **ret)
{
    whole = OSSL_PROVIDER_load(NULL, "default");
    OSSL_LIB_CTX *ctx = OSSL_LIB_CTX_new();
    if (whole == NULL || ctx == NULL || !keep_wanted() || OSSL_PROVIDER_add_builtin(ctx, NAME, start) != 1 ||
        OSSL_PROVIDER_load(ctx, NAME) == NULL) {
        OSSL_LIB_CTX_free(ctx);
        return ERR_INTERNAL;
    }
    *ret = ctx;
    return ERR_OK;
}
