/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/tls_x25519.h"
#include "crypto/secret.h"
#include "escrow-server/web/tls_dispatch.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SIZE          32
#define FUNCTIONS_MAX 40

static OSSL_DISPATCH functions[FUNCTIONS_MAX + 1];

static struct {
    OSSL_FUNC_keymgmt_new_fn *key_new;
    OSSL_FUNC_keymgmt_free_fn *key_free;
    OSSL_FUNC_keymgmt_match_fn *match;
    OSSL_FUNC_keymgmt_import_fn *import;
    OSSL_FUNC_keymgmt_gen_init_fn *gen_init;
    OSSL_FUNC_keymgmt_gen_set_params_fn *gen_set_params;
    OSSL_FUNC_keymgmt_gen_fn *gen;
    OSSL_FUNC_keymgmt_gen_cleanup_fn *gen_cleanup;
    OSSL_FUNC_keyexch_newctx_fn *newctx;
    OSSL_FUNC_keyexch_freectx_fn *freectx;
    OSSL_FUNC_keyexch_init_fn *init;
    OSSL_FUNC_keyexch_set_peer_fn *set_peer;
    OSSL_FUNC_keyexch_derive_fn *derive;
    void *provctx;
} theirs;

struct pair {
    uint8_t secret[SIZE], public[SIZE];
};

static int import(void *key, struct pair *p)
{
    const OSSL_PARAM params[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, p->secret, SIZE),
                                 OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, p->public, SIZE),
                                 OSSL_PARAM_END};
    return theirs.import(key, OSSL_KEYMGMT_SELECT_KEYPAIR, params);
}

/* The secret of this key with itself. */
static bool multiply(void *key, uint8_t ret[static SIZE])
{
    size_t len = 0;
    void *ctx = theirs.newctx(theirs.provctx);
    bool ok = ctx != NULL && theirs.init(ctx, key, NULL) == 1 && theirs.set_peer(ctx, key) == 1 &&
              theirs.derive(ctx, ret, &len, SIZE) == 1 && len == SIZE;
    if (ctx != NULL)
        theirs.freectx(ctx);
    return ok;
}

/* The public half is the base point at first, so that the exchange of the key with itself makes the real one.
 */
static void *make(struct pair *p)
{
    memset(p->public, 0, SIZE);
    p->public[0] = 9;
    void *key = theirs.key_new(theirs.provctx);
    if (key != NULL && import(key, p) == 1 && multiply(key, p->public) && import(key, p) == 1)
        return key;
    theirs.key_free(key);
    return NULL;
}

struct gen {
    void *theirs;
    bool pair; /* not only its parameters, of which there are none */
};

static void gen_cleanup(void *ctx)
{
    struct gen *g = ctx;
    if (g != NULL)
        theirs.gen_cleanup(g->theirs);
    free(g);
}

static void *gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
    struct gen *g = calloc(1, sizeof *g);
    if (g == NULL)
        return NULL;
    g->pair = (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0;
    g->theirs = theirs.gen_init(provctx, selection, params);
    if (g->theirs != NULL)
        return g;
    free(g);
    return NULL;
}

static int gen_set_params(void *ctx, const OSSL_PARAM params[])
{
    const struct gen *g = ctx;
    return theirs.gen_set_params(g->theirs, params);
}

static void *generate(void *ctx, OSSL_CALLBACK *progress, void *arg)
{
    const struct gen *g = ctx;
    struct pair p;
    void *key = NULL;
    if (!g->pair) {
        key = theirs.gen(g->theirs, progress, arg);
    } else if (RAND_priv_bytes(p.secret, SIZE) == 1) {
        p.secret[0] &= 248;
        p.secret[SIZE - 1] = (uint8_t)((p.secret[SIZE - 1] & 127) | 64);
        key = make(&p);
    }
    cr_wipe(&p, sizeof p);
    return key;
}

static bool take(const OSSL_DISPATCH *keys, const OSSL_DISPATCH *exchange)
{
    theirs.key_new = OSSL_FUNC_keymgmt_new(tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_NEW));
    theirs.key_free = OSSL_FUNC_keymgmt_free(tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_FREE));
    theirs.match = OSSL_FUNC_keymgmt_match(tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_MATCH));
    theirs.import = OSSL_FUNC_keymgmt_import(tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_IMPORT));
    theirs.gen_init = OSSL_FUNC_keymgmt_gen_init(tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_GEN_INIT));
    theirs.gen_set_params =
        OSSL_FUNC_keymgmt_gen_set_params(tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS));
    theirs.gen = OSSL_FUNC_keymgmt_gen(tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_GEN));
    theirs.gen_cleanup = OSSL_FUNC_keymgmt_gen_cleanup(tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_GEN_CLEANUP));
    theirs.newctx = OSSL_FUNC_keyexch_newctx(tls_dispatch_at(exchange, OSSL_FUNC_KEYEXCH_NEWCTX));
    theirs.freectx = OSSL_FUNC_keyexch_freectx(tls_dispatch_at(exchange, OSSL_FUNC_KEYEXCH_FREECTX));
    theirs.init = OSSL_FUNC_keyexch_init(tls_dispatch_at(exchange, OSSL_FUNC_KEYEXCH_INIT));
    theirs.set_peer = OSSL_FUNC_keyexch_set_peer(tls_dispatch_at(exchange, OSSL_FUNC_KEYEXCH_SET_PEER));
    theirs.derive = OSSL_FUNC_keyexch_derive(tls_dispatch_at(exchange, OSSL_FUNC_KEYEXCH_DERIVE));
    return theirs.key_new != NULL && theirs.key_free != NULL && theirs.match != NULL &&
           theirs.import != NULL && theirs.gen_init != NULL && theirs.gen_set_params != NULL &&
           theirs.gen != NULL && theirs.gen_cleanup != NULL && theirs.newctx != NULL &&
           theirs.freectx != NULL && theirs.init != NULL && theirs.set_peer != NULL && theirs.derive != NULL;
}

/* Ours for those that are given what gen_init() makes. false: there are others, or too many. */
static bool replace(const OSSL_DISPATCH *keys)
{
    static const OSSL_DISPATCH ours[] = {
        {OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))gen_init},
        {OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (void (*)(void))gen_set_params},
        {OSSL_FUNC_KEYMGMT_GEN, (void (*)(void))generate},
        {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (void (*)(void))gen_cleanup},
        {0, NULL},
    };
    size_t n = 0;
    for (; n < FUNCTIONS_MAX && keys[n].function_id != 0; n++) {
        const OSSL_DISPATCH *own = tls_dispatch_at(ours, keys[n].function_id);
        functions[n] = own->function_id != 0 ? *own : keys[n];
    }
    functions[n] = (OSSL_DISPATCH){0};
    return keys[n].function_id == 0 &&
           tls_dispatch_at(keys, OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE)->function_id == 0;
}

/* Is what is made here what theirs makes of the secret half alone? */
static bool agrees(void)
{
    struct pair p = {.secret = {0x40, [SIZE - 1] = 0x5a}};
    const OSSL_PARAM secret[] = {OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, p.secret, SIZE),
                                 OSSL_PARAM_END};
    void *want = theirs.key_new(theirs.provctx), *got = make(&p);
    bool ok = want != NULL && got != NULL && theirs.import(want, OSSL_KEYMGMT_SELECT_KEYPAIR, secret) == 1 &&
              theirs.match(want, got, OSSL_KEYMGMT_SELECT_PUBLIC_KEY) == 1;
    theirs.key_free(want);
    theirs.key_free(got);
    return ok;
}

enum err tls_x25519_over(const OSSL_DISPATCH *keys, const OSSL_DISPATCH *exchange, void *provctx)
{
    theirs.provctx = provctx;
    return take(keys, exchange) && agrees() && replace(keys) ? ERR_OK : ERR_UNSUPPORTED;
}

const OSSL_DISPATCH *tls_x25519_functions(void)
{
    return functions;
}
