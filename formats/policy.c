/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/policy.h"
#include "crypto/p256.h"
#include "formats/json_walk.h"
#include <string.h>

#define FORMAT_NAME "keyholt-policy"

void policy_defaults(struct policy *ret)
{
    *ret = (struct policy){.encrypt = POLICY_ENCRYPT_OS | POLICY_ENCRYPT_FIXED,
                           .escrow = POLICY_SEALED,
                           .rotate_days = POLICY_ROTATE_DAYS,
                           .verify_hours = POLICY_VERIFY_HOURS};
}

/* ret_at: the member that is looked at, for whoever says what is wrong */
static enum err head(const struct jw *j, const struct guid *org, struct policy *p, const char **ret_at)
{
    int format = jw_get(j, JW_ROOT, "format");
    char text[GUID_TEXT + 2];
    struct guid id;
    size_t len;
    *ret_at = "format";
    if (!jw_is(j, format, FORMAT_NAME))
        return jw_starts(j, format, FORMAT_NAME) ? ERR_VERSION : ERR_FORMAT;
    *ret_at = "version";
    TRY(jw_u64(j, jw_get(j, JW_ROOT, "version"), JW_NUMBER, INT64_MAX, &p->version));
    if (p->version == 0)
        return ERR_FORMAT;
    *ret_at = "org";
    if (jw_text(j, jw_get(j, JW_ROOT, "org"), text, sizeof text, &len) != ERR_OK)
        return ERR_FORMAT; /* too long, too: it is not our scratch that is full */
    TRY(guid_decode(text, len, &id));
    return guid_equal(&id, org) ? ERR_OK : ERR_CONFLICT;
}

static enum err escrow(const struct jw *j, struct policy *p)
{
    int node = jw_get(j, JW_ROOT, "escrow");
    if (node == JW_NONE)
        return ERR_OK;
    p->escrow = jw_is(j, node, "sealed") ? POLICY_SEALED : jw_is(j, node, "receipt") ? POLICY_RECEIPT : 0;
    return p->escrow ? ERR_OK : jw_type(j, node) == JW_STRING ? ERR_UNSUPPORTED : ERR_FORMAT;
}

/* A kind that is not known is one that this version cannot judge. */
static enum err encrypt(const struct jw *j, struct policy *p)
{
    static const char *const kinds[] = {"os", "fixed", "removable"};
    int node = jw_get(j, JW_ROOT, "encrypt");
    struct jw_each e;
    if (node == JW_NONE)
        return ERR_OK;
    if (jw_type(j, node) != JW_ARRAY)
        return ERR_FORMAT;
    p->encrypt = 0;
    for (jw_each(j, node, &e); jw_each_next(j, &e);) {
        unsigned k = 0;
        while (k < 3 && !jw_is(j, e.value, kinds[k]))
            k++;
        if (k == 3)
            return jw_type(j, e.value) == JW_STRING ? ERR_UNSUPPORTED : ERR_FORMAT;
        p->encrypt = (uint8_t)(p->encrypt | 1u << k);
    }
    return ERR_OK;
}

/* Devices keep every envelope. Whoever wants something else shall hear that it is not done. */
static enum err retention(const struct jw *j)
{
    int node = jw_get(j, JW_ROOT, "retention");
    if (node == JW_NONE || jw_is(j, node, "none"))
        return ERR_OK;
    return jw_type(j, node) == JW_STRING ? ERR_UNSUPPORTED : ERR_FORMAT;
}

static enum err flag(const struct jw *j, const char *name, bool *ret)
{
    int node = jw_get(j, JW_ROOT, name);
    return node == JW_NONE ? ERR_OK : jw_bool(j, node, ret);
}

static enum err number(const struct jw *j, const char *name, uint32_t min, uint32_t max, uint32_t *ret)
{
    int node = jw_get(j, JW_ROOT, name);
    uint64_t v;
    if (node == JW_NONE)
        return ERR_OK;
    TRY(jw_u64(j, node, JW_NUMBER, max, &v));
    if (v < min)
        return ERR_RANGE;
    *ret = (uint32_t)v;
    return ERR_OK;
}

static enum err body(const struct jw *j, struct policy *p, const char **ret_at)
{
    *ret_at = "escrow";
    TRY(escrow(j, p));
    *ret_at = "encrypt";
    TRY(encrypt(j, p));
    *ret_at = "retention";
    TRY(retention(j));
    *ret_at = "key_package";
    TRY(flag(j, *ret_at, &p->key_package));
    *ret_at = "rotate_used_needs_receipt";
    TRY(flag(j, *ret_at, &p->rotate_used_needs_receipt));
    *ret_at = "rotate_days";
    TRY(number(j, *ret_at, 0, POLICY_ROTATE_MAX, &p->rotate_days));
    *ret_at = "verify_hours";
    return number(j, *ret_at, 1, POLICY_VERIFY_MAX, &p->verify_hours);
}

enum err policy_check(const char *json, size_t len, const struct guid *org, void *scratch, size_t scratch_len,
                      struct policy *ret, const char **ret_at)
{
    struct policy p;
    struct jw j;
    *ret_at = NULL;
    if (len > POLICY_MAX)
        return ERR_RANGE;
    TRY(jw_parse(json, len, scratch, scratch_len, &j));
    policy_defaults(&p);
    TRY(head(&j, org, &p, ret_at));
    TRY(body(&j, &p, ret_at));
    *ret_at = NULL;
    *ret = p;
    return ERR_OK;
}

enum err policy_decode(const char *json, size_t len, const struct guid *org, void *scratch,
                       size_t scratch_len, struct policy *ret)
{
    const char *at;
    return policy_check(json, len, org, scratch, scratch_len, ret, &at);
}

enum err policy_verify(const void *json, size_t len, const uint8_t sig[static POLICY_SIG],
                       const struct cr_p256_pub *policy_key)
{
    return cr_p256_verify(policy_key, json, len, sig);
}
