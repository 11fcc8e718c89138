/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/tls_kdf.h"
#include "crypto/secret.h"
#include "crypto/sha256_hmac.h"
#include "escrow-server/web/tls_dispatch.h"
#include "escrow-server/web/tls_no_ctx.h"
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>

#define SIZE CR_SHA256_SIZE

static struct {
    OSSL_FUNC_kdf_newctx_fn *newctx;
    OSSL_FUNC_kdf_freectx_fn *freectx;
    OSSL_FUNC_kdf_derive_fn *derive;
    void *provctx;
} theirs;

enum err tls_kdf_over(const OSSL_DISPATCH *other, void *provctx)
{
    theirs.provctx = provctx;
    theirs.newctx = OSSL_FUNC_kdf_newctx(tls_dispatch_at(other, OSSL_FUNC_KDF_NEWCTX));
    theirs.freectx = OSSL_FUNC_kdf_freectx(tls_dispatch_at(other, OSSL_FUNC_KDF_FREECTX));
    theirs.derive = OSSL_FUNC_kdf_derive(tls_dispatch_at(other, OSSL_FUNC_KDF_DERIVE));
    bool all = theirs.newctx != NULL && theirs.freectx != NULL && theirs.derive != NULL;
    return all ? ERR_OK : ERR_UNSUPPORTED;
}

/* One step of the schedule; what is not there is empty. */
struct step {
    int mode;
    bool sha256;
    struct cr_part key, salt, prefix, label, data;
};

static struct cr_part *octets_of(struct step *s, const char *name)
{
    const struct {
        const char *name;
        struct cr_part *part;
    } all[] = {{OSSL_KDF_PARAM_KEY, &s->key},
               {OSSL_KDF_PARAM_SALT, &s->salt},
               {OSSL_KDF_PARAM_PREFIX, &s->prefix},
               {OSSL_KDF_PARAM_LABEL, &s->label},
               {OSSL_KDF_PARAM_DATA, &s->data}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) /* for a hundred names in a handshake */
        if (name[0] == all[i].name[0] && strcmp(name, all[i].name) == 0)
            return all[i].part;
    return NULL;
}

static bool is_sha256(const OSSL_PARAM *p)
{
    return p->data_type == OSSL_PARAM_UTF8_STRING &&
           (strcmp(p->data, "SHA2-256") == 0 || OPENSSL_strcasecmp(p->data, "SHA2-256") == 0 ||
            OPENSSL_strcasecmp(p->data, "SHA256") == 0);
}

/* Is it one that we know all about? */
static bool read_step(const OSSL_PARAM *p, struct step *ret)
{
    *ret = (struct step){0};
    for (; p != NULL && p->key != NULL; p++) {
        struct cr_part *part = octets_of(ret, p->key);
        if (part != NULL && p->data_type == OSSL_PARAM_OCTET_STRING)
            *part = (struct cr_part){p->data, p->data_size};
        else if (strcmp(p->key, OSSL_KDF_PARAM_DIGEST) == 0)
            ret->sha256 = is_sha256(p);
        else if (strcmp(p->key, OSSL_KDF_PARAM_MODE) != 0 || OSSL_PARAM_get_int(p, &ret->mode) != 1)
            return false;
    }
    return ret->sha256 && ret->prefix.len + ret->label.len <= 255 && ret->data.len <= 255;
}

/* HKDF-Expand-Label for up to one digest: T(1) of HKDF. len: <= SIZE */
static void expand_label(const struct cr_part *secret, const struct step *s, const struct cr_part *context,
                         uint8_t *ret, size_t len)
{
    uint8_t label_head[3] = {0, (uint8_t)len, (uint8_t)(s->prefix.len + s->label.len)}, t[SIZE];
    uint8_t context_len = (uint8_t)context->len;
    const struct cr_part parts[] = {
        {label_head, sizeof label_head}, s->prefix, s->label, {&context_len, 1}, *context, {"\1", 1}};
    cr_sha256_hmac(secret->p, secret->len, parts, sizeof parts / sizeof parts[0], t);
    memcpy(ret, t, len);
    cr_wipe(t, sizeof t);
}

/* Derive-Secret(salt, label, "") is the salt of the next Extract; the first has none. */
static void extract(const struct step *s, uint8_t ret[static SIZE])
{
    /* source: SHA-256 of nothing, FIPS 180-4 */
    static const uint8_t empty[SIZE] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
                                        0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
                                        0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
    static const uint8_t zeros[SIZE];
    uint8_t derived[SIZE];
    struct cr_part salt = {NULL, 0}, key = s->key.p != NULL ? s->key : (struct cr_part){zeros, SIZE};
    if (s->salt.p != NULL) {
        expand_label(&s->salt, s, &(struct cr_part){empty, SIZE}, derived, SIZE);
        salt = (struct cr_part){derived, SIZE};
    }
    cr_sha256_hmac(salt.p, salt.len, &key, 1, ret);
    cr_wipe(derived, sizeof derived);
}

static int ask_theirs(uint8_t *out, size_t len, const OSSL_PARAM *params)
{
    void *ctx = theirs.newctx(theirs.provctx);
    int ok = ctx != NULL && theirs.derive(ctx, out, len, params);
    theirs.freectx(ctx);
    return ok;
}

static int derive(void *ctx, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
    struct step s;
    (void)ctx;
    if (!read_step(params, &s) || len > SIZE)
        return ask_theirs(out, len, params);
    if (s.mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY && s.key.p != NULL)
        expand_label(&s.key, &s, &s.data, out, len);
    else if (s.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY && len == SIZE && s.data.p == NULL)
        extract(&s, out);
    else
        return ask_theirs(out, len, params);
    return 1;
}

const OSSL_DISPATCH tls_kdf_functions[] = {
    {OSSL_FUNC_KDF_NEWCTX, (void (*)(void))tls_no_ctx},
    {OSSL_FUNC_KDF_FREECTX, (void (*)(void))tls_free_no_ctx},
    {OSSL_FUNC_KDF_DERIVE, (void (*)(void))derive},
    {0, NULL},
};
