/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/org.h"
#include "crypto/hash.h"
#include "formats/base.h"
#include "formats/json_walk.h"
#include <string.h>

#define FORMAT_NAME "keyholt-org"

static enum err text(const struct jw *j, int object, const char *name, char *ret, size_t cap)
{
    size_t len;
    return jw_text(j, jw_get(j, object, name), ret, cap, &len);
}

/* Text of a known length at most: a longer one is not what it should be, which is no matter of room. */
static enum err short_text(const struct jw *j, int node, char *ret, size_t cap, size_t *ret_len)
{
    enum err e = jw_text(j, node, ret, cap, ret_len);
    return e == ERR_FULL ? ERR_FORMAT : e;
}

static enum err hex_id(const struct jw *j, int node, uint8_t ret[static 32])
{
    char hex[BASE16_LEN(32) + 1];
    size_t len;
    TRY(short_text(j, node, hex, sizeof hex, &len));
    TRY(base16_decode(hex, len, ret, 32, &len));
    return len == 32 ? ERR_OK : ERR_FORMAT;
}

/* The ID is the key's hash; one that is not would let two readers mean different keys by one name. */
static enum err key(const struct jw *j, int node, struct org_key *ret)
{
    uint8_t hash[CR_SHA256_SIZE];
    size_t len;
    TRY(hex_id(j, jw_get(j, node, "id"), ret->id));
    TRY(jw_base64(j, jw_get(j, node, "spki"), ret->spki, sizeof ret->spki, &len));
    if (len != sizeof ret->spki)
        return ERR_FORMAT;
    TRY(cr_sha256(ret->spki, sizeof ret->spki, hash));
    return memcmp(hash, ret->id, sizeof hash) == 0 ? ERR_OK : ERR_FORMAT;
}

static enum err key_use(const struct jw *j, int node, struct org_key *k)
{
    int use = jw_get(j, node, "use");
    k->use = jw_is(j, use, "vault") ? ORG_VAULT : jw_is(j, use, "desk") ? ORG_DESK : 0;
    return k->use != 0 ? ERR_OK : ERR_FORMAT;
}

/* An array of at least one and at most max elements. */
static enum err array(const struct jw *j, const char *name, unsigned max, int *ret, unsigned *ret_n)
{
    int node = jw_get_as(j, JW_ROOT, name, JW_ARRAY);
    unsigned n = jw_count(j, node);
    if (n == 0)
        return ERR_FORMAT;
    if (n > max)
        return ERR_RANGE;
    *ret = node;
    *ret_n = n;
    return ERR_OK;
}

static enum err servers(const struct jw *j, struct org *o)
{
    int node;
    size_t len;
    struct jw_each e;
    TRY(array(j, "servers", ORG_SERVERS, &node, &o->n_servers));
    unsigned i = 0;
    for (jw_each(j, node, &e); jw_each_next(j, &e); i++) {
        if (!jw_starts(j, e.value, "https://"))
            return ERR_FORMAT;
        TRY(jw_text(j, e.value, o->server[i], sizeof o->server[i], &len));
    }
    return ERR_OK;
}

static enum err keys(const struct jw *j, struct org *o)
{
    int escrow, receipt;
    struct jw_each e;
    TRY(array(j, "escrow_keys", ORG_ESCROW_KEYS, &escrow, &o->n_escrow));
    TRY(array(j, "receipt_keys", ORG_RECEIPT_KEYS, &receipt, &o->n_receipt));
    unsigned i = 0;
    for (jw_each(j, escrow, &e); jw_each_next(j, &e); i++) {
        TRY(key(j, e.value, &o->escrow[i]));
        TRY(key_use(j, e.value, &o->escrow[i]));
    }
    i = 0;
    for (jw_each(j, receipt, &e); jw_each_next(j, &e); i++)
        TRY(key(j, e.value, &o->receipt[i]));
    return key(j, jw_get(j, JW_ROOT, "policy_key"), &o->policy);
}

/* ret: NULL where they are only looked at; else room for *ret_n */
static enum err revoked(const struct jw *j, uint8_t (*ret)[32], size_t max, size_t *ret_n)
{
    int node = jw_get_as(j, JW_ROOT, "revoked", JW_ARRAY);
    struct jw_each e;
    uint8_t id[32];
    size_t n = 0;
    if (node == JW_NONE)
        return ERR_FORMAT;
    for (jw_each(j, node, &e); jw_each_next(j, &e); n++) {
        TRY(hex_id(j, e.value, id));
        if (ret != NULL && n == max)
            return ERR_FULL;
        if (ret != NULL)
            memcpy(ret[n], id, sizeof id);
    }
    *ret_n = n;
    return ERR_OK;
}

static enum err head(const struct jw *j, struct org *o)
{
    int format = jw_get(j, JW_ROOT, "format");
    char id[GUID_TEXT + 2];
    size_t len;
    if (!jw_is(j, format, FORMAT_NAME))
        return jw_starts(j, format, FORMAT_NAME) ? ERR_VERSION : ERR_FORMAT;
    TRY(jw_u64(j, jw_get(j, JW_ROOT, "version"), JW_NUMBER, UINT64_MAX, &o->version));
    if (o->version == 0)
        return ERR_FORMAT;
    TRY(short_text(j, jw_get(j, JW_ROOT, "id"), id, sizeof id, &len));
    return guid_decode(id, len, &o->id);
}

/* Optional: files written before have none. */
static enum err copying(const struct jw *j, struct org *o)
{
    int node = jw_get(j, JW_ROOT, "copy_files");
    bool allowed = true;
    if (node != JW_NONE)
        TRY(jw_bool(j, node, &allowed));
    o->no_copying = !allowed;
    return ERR_OK;
}

enum err org_decode(const char *json, size_t len, void *scratch, size_t scratch_len, struct org *ret)
{
    struct jw j;
    struct org o;
    size_t n_revoked; /* not kept here, but who takes the file has looked at all of it */
    if (len > ORG_MAX)
        return ERR_RANGE;
    TRY(jw_parse(json, len, scratch, scratch_len, &j));
    memset(&o, 0, sizeof o);
    TRY(head(&j, &o));
    TRY(text(&j, JW_ROOT, "name", o.name, sizeof o.name));
    TRY(text(&j, JW_ROOT, "message", o.message, sizeof o.message));
    TRY(text(&j, JW_ROOT, "url", o.url, sizeof o.url));
    TRY(text(&j, JW_ROOT, "ca", o.ca, sizeof o.ca));
    TRY(servers(&j, &o));
    TRY(keys(&j, &o));
    TRY(revoked(&j, NULL, 0, &n_revoked));
    TRY(copying(&j, &o));
    *ret = o;
    return ERR_OK;
}

enum err org_revoked(const char *json, size_t len, void *scratch, size_t scratch_len, uint8_t (*ret)[32],
                     size_t max, size_t *ret_n)
{
    struct jw j;
    if (len > ORG_MAX)
        return ERR_RANGE;
    TRY(jw_parse(json, len, scratch, scratch_len, &j));
    return revoked(&j, ret, max, ret_n);
}
