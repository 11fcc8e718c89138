/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/pkcs11/p256_token.h"
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX     64
#define ID_MAX        64
#define POINT_DER_LEN (2 + CR_P256_POINT) /* OCTET STRING */

struct token {
    CK_FUNCTION_LIST *module;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    bool initialized, open;
};

static enum err err_from_ck(CK_RV rv)
{
    switch (rv) {
    case CKR_OK:
        return ERR_OK;
    case CKR_PIN_INCORRECT:
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_LOCKED:
    case CKR_PIN_INVALID:
        return ERR_AUTH;
    case CKR_HOST_MEMORY:
        return ERR_NOMEM;
    case CKR_MECHANISM_INVALID:
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
    case CKR_FUNCTION_NOT_SUPPORTED:
        return ERR_UNSUPPORTED;
    default:
        return ERR_OFFLINE;
    }
}
#define CK(call) TRY(err_from_ck(call))

static void token_free(void *ctx)
{
    struct token *t = ctx;
    if (t->open)
        (void)t->module->C_CloseSession(t->session);
    if (t->initialized)
        (void)p11_kit_module_finalize(t->module);
    if (t->module != NULL)
        p11_kit_module_release(t->module);
    free(t);
}

/* err: NOT_FOUND */
static enum err find_slot(CK_FUNCTION_LIST *module, const P11KitUri *uri, CK_SLOT_ID *ret)
{
    CK_SLOT_ID slot[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    CK(module->C_GetSlotList(CK_TRUE, slot, &n));
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        if (module->C_GetTokenInfo(slot[i], &info) != CKR_OK || p11_kit_uri_match_token_info(uri, &info) != 1)
            continue;
        *ret = slot[i];
        return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

/* The module is used where it has the token, and finalized where it has not.
 * err: OFFLINE, NOT_FOUND (no such token in it) */
static enum err try_module(struct token *t, CK_FUNCTION_LIST *module, const P11KitUri *uri, CK_SLOT_ID *ret)
{
    CK_INFO info;
    CK(p11_kit_module_initialize(module));
    enum err e = err_from_ck(module->C_GetInfo(&info));
    if (e == ERR_OK)
        e = p11_kit_uri_match_module_info(uri, &info) == 1 ? find_slot(module, uri, ret) : ERR_NOT_FOUND;
    if (e == ERR_OK) {
        t->module = module;
        t->initialized = true;
    } else {
        (void)p11_kit_module_finalize(module);
    }
    return e;
}

/* The one that the URI names by its path. */
static enum err load_path(struct token *t, const char *path, const P11KitUri *uri, CK_SLOT_ID *ret)
{
    CK_FUNCTION_LIST *module = p11_kit_module_load(path, 0);
    if (module == NULL)
        return ERR_NOT_FOUND;
    enum err e = try_module(t, module, uri, ret);
    if (e != ERR_OK)
        p11_kit_module_release(module);
    return e;
}

static bool is_named(CK_FUNCTION_LIST *module, const P11KitUri *uri)
{
    const char *want = p11_kit_uri_get_module_name(uri);
    char *name = p11_kit_module_get_name(module);
    bool is = want == NULL || (name != NULL && strcmp(name, want) == 0);
    free(name);
    return is;
}

/* Those that p11-kit is configured with, in its order; a module that does not answer hides no other one.
 * err: NOT_FOUND; OFFLINE (and one did not answer) */
static enum err load_configured(struct token *t, const P11KitUri *uri, CK_SLOT_ID *ret)
{
    CK_FUNCTION_LIST **all = p11_kit_modules_load(NULL, 0);
    enum err e = ERR_NOT_FOUND;
    for (size_t i = 0; all != NULL && all[i] != NULL; i++) {
        enum err tried = ERR_NOT_FOUND;
        if (t->module == NULL && is_named(all[i], uri))
            tried = try_module(t, all[i], uri, ret);
        if (tried == ERR_OK || (tried != ERR_NOT_FOUND && e != ERR_OK))
            e = tried;
        if (tried != ERR_OK)
            p11_kit_module_release(all[i]);
    }
    free(all);
    return e;
}

static enum err load_module(struct token *t, const P11KitUri *uri, CK_SLOT_ID *ret)
{
    const char *path = p11_kit_uri_get_module_path(uri);
    return path != NULL ? load_path(t, path, uri, ret) : load_configured(t, uri, ret);
}

static enum err log_in(struct token *t, CK_SLOT_ID slot, const struct secret *pin)
{
    SECRET(copy); /* the call takes no const */
    CK(t->module->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &t->session));
    t->open = true;
    copy = *pin;
    CK_RV rv = t->module->C_Login(t->session, CKU_USER, copy.bytes, copy.len);
    return rv == CKR_USER_ALREADY_LOGGED_IN ? ERR_OK : err_from_ck(rv);
}

/* err: NOT_FOUND, CONFLICT */
static enum err find_one(const struct token *t, CK_ATTRIBUTE *template, CK_ULONG n, CK_OBJECT_HANDLE *ret)
{
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n_found = 0;
    CK(t->module->C_FindObjectsInit(t->session, template, n));
    CK_RV rv = t->module->C_FindObjects(t->session, found, 2, &n_found);
    (void)t->module->C_FindObjectsFinal(t->session);
    CK(rv);
    if (n_found != 1)
        return n_found == 0 ? ERR_NOT_FOUND : ERR_CONFLICT;
    *ret = found[0];
    return ERR_OK;
}

static enum err find_key(struct token *t, P11KitUri *uri)
{
    CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
    CK_KEY_TYPE type = CKK_EC;
    CK_ATTRIBUTE template[4] = {{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}};
    CK_ULONG n_uri = 0, n = 2;
    const CK_ATTRIBUTE *a = p11_kit_uri_get_attributes(uri, &n_uri);
    for (CK_ULONG i = 0; i < n_uri; i++)
        if ((a[i].type == CKA_LABEL || a[i].type == CKA_ID) && n < 4)
            template[n++] = a[i];
    return find_one(t, template, n, &t->key);
}

static enum err read_point(const struct token *t, CK_OBJECT_HANDLE object, struct cr_p256_pub *ret)
{
    static const uint8_t head[3] = {0x04, CR_P256_POINT, 0x04}; /* OCTET STRING, length, uncompressed */
    uint8_t der[POINT_DER_LEN];
    CK_ATTRIBUTE point = {CKA_EC_POINT, der, sizeof der};
    CK_RV rv = t->module->C_GetAttributeValue(t->session, object, &point, 1);
    if (rv != CKR_OK || point.ulValueLen != sizeof der || memcmp(der, head, sizeof head) != 0)
        return ERR_FORMAT;
    memcpy(ret->point, der + 2, CR_P256_POINT);
    return cr_p256_check(ret);
}

/* The public object beside it has the same ID; few tokens give the point with the private one. */
static enum err find_point(const struct token *t, struct cr_p256_pub *ret)
{
    uint8_t id[ID_MAX];
    CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE template[2] = {{CKA_CLASS, &class, sizeof class}, {CKA_ID, id, sizeof id}};
    CK_OBJECT_HANDLE public;
    if (read_point(t, t->key, ret) == ERR_OK)
        return ERR_OK;
    CK(t->module->C_GetAttributeValue(t->session, t->key, &template[1], 1));
    TRY(find_one(t, template, 2, &public));
    return read_point(t, public, ret);
}

/* The shared secret leaves the token as a session object, which is read and destroyed. */
static enum err ecdh(void *ctx, const struct cr_p256_pub *peer, uint8_t ret[static CR_P256_SHARED])
{
    const struct token *t = ctx;
    struct cr_p256_pub copy = *peer;
    CK_ECDH1_DERIVE_PARAMS params = {CKD_NULL, 0, NULL, sizeof copy.point, copy.point};
    CK_MECHANISM mechanism = {CKM_ECDH1_DERIVE, &params, sizeof params};
    CK_OBJECT_CLASS class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_GENERIC_SECRET;
    CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG len = CR_P256_SHARED;
    CK_ATTRIBUTE template[] = {{CKA_CLASS, &class, sizeof class},   {CKA_KEY_TYPE, &type, sizeof type},
                               {CKA_TOKEN, &no, sizeof no},         {CKA_SENSITIVE, &no, sizeof no},
                               {CKA_EXTRACTABLE, &yes, sizeof yes}, {CKA_VALUE_LEN, &len, sizeof len}};
    CK_OBJECT_HANDLE shared;
    CK_ATTRIBUTE value = {CKA_VALUE, ret, CR_P256_SHARED};
    CK(t->module->C_DeriveKey(t->session, &mechanism, t->key, template, sizeof template / sizeof template[0],
                              &shared));
    CK_RV rv = t->module->C_GetAttributeValue(t->session, shared, &value, 1);
    (void)t->module->C_DestroyObject(t->session, shared);
    CK(rv);
    return value.ulValueLen == CR_P256_SHARED ? ERR_OK : ERR_FORMAT;
}

static enum err open_all(struct token *t, P11KitUri *uri, const struct secret *pin, struct cr_p256_pub *ret)
{
    CK_SLOT_ID slot;
    TRY(load_module(t, uri, &slot));
    TRY(log_in(t, slot, pin));
    TRY(find_key(t, uri));
    return find_point(t, ret);
}

enum err cr_p256_token_open(const char *text, const struct secret *pin, struct cr_p256_key **ret)
{
    struct cr_p256_pub pub;
    P11KitUri *uri = p11_kit_uri_new();
    struct token *t = calloc(1, sizeof *t);
    enum err e = uri == NULL || t == NULL ? ERR_NOMEM : ERR_OK;
    if (e == ERR_OK && p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, uri) != P11_KIT_URI_OK)
        e = ERR_FORMAT;
    if (e == ERR_OK)
        e = open_all(t, uri, pin, &pub);
    if (e == ERR_OK) {
        const struct cr_p256_outside outside = {ecdh, token_free, t};
        e = cr_p256_from_outside(&pub, &outside, ret);
    }
    p11_kit_uri_free(uri);
    if (e != ERR_OK && t != NULL)
        token_free(t);
    return e;
}
