/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/sync_read.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err read_records(struct sync *s, struct json_object *o, size_t cap)
{
    struct json_object *array = NULL;
    enum err e = json_get_array(o, "records", MSG_RECORDS, &array);
    size_t n = e == ERR_OK ? json_object_array_length(array) : 0;
    if (e != ERR_NOT_FOUND) /* a heartbeat has none */
        TRY(e);
    s->bytes = malloc(cap);
    if (s->bytes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(array, i);
        size_t len;
        snprintf(s->detail, sizeof s->detail, "Record %zu is not base64, or longer than %d bytes.", i + 1,
                 RECORD_MAX);
        if (!json_object_is_type(item, json_type_string))
            return ERR_FORMAT;
        TRY(base64_decode(json_object_get_string(item), (size_t)json_object_get_string_len(item),
                          s->bytes + s->used, cap - s->used, &len));
        if (len > RECORD_MAX)
            return ERR_RANGE;
        s->m.record[i] = (struct msg_blob){s->bytes + s->used, len};
        s->used += len;
    }
    s->m.n = (unsigned)n;
    return ERR_OK;
}

/* Receipts that records of this batch had before. Behind the records in their memory. */
static enum err read_proofs(struct sync *s, struct json_object *o, size_t cap)
{
    struct json_object *array;
    size_t len;
    enum err e = json_get_array(o, "proofs", MSG_PROOFS, &array);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    s->m.n_proofs = (unsigned)json_object_array_length(array);
    snprintf(s->detail, sizeof s->detail, "A receipt in proofs is not base64, or too long.");
    for (unsigned i = 0; i < s->m.n_proofs; i++) {
        struct json_object *item = json_object_array_get_idx(array, i);
        if (!json_object_is_type(item, json_type_string))
            return ERR_FORMAT;
        TRY(base64_decode(json_object_get_string(item), (size_t)json_object_get_string_len(item),
                          s->bytes + s->used, cap - s->used, &len));
        if (len > RECEIPT_MAX)
            return ERR_RANGE;
        s->m.proof[i] = (struct msg_blob){s->bytes + s->used, len};
        s->used += len;
    }
    return ERR_OK;
}

static enum err read_numbers(struct sync *s, struct json_object *o)
{
    uint64_t attempt = 0;
    enum err e = json_get_u64(o, "attempt", &attempt);
    if (e != ERR_NOT_FOUND)
        TRY(e);
    if (attempt > UINT32_MAX)
        return ERR_RANGE;
    s->m.attempt = (uint32_t)attempt;
    size_t len = 0;
    e = json_get_base64(o, "device_spki", s->spki, sizeof s->spki, &len);
    s->has_spki = e == ERR_OK && len == sizeof s->spki;
    if (!s->has_spki && e != ERR_NOT_FOUND)
        return ERR_FORMAT;
    e = json_get_u64(o, "policy", &s->policy);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* A page of hashes, which may be missing, and in most requests is.
 * ret_own: what ret borrows, to be freed whatever comes of it */
static enum err read_set(struct json_object *o, const char *name, uint8_t **ret_own, bool *ret_has,
                         struct msg_blob *ret)
{
    size_t len = 0;
    if (!json_object_object_get_ex(o, name, NULL))
        return ERR_OK;
    uint8_t *buf = *ret_own = malloc(32 * MSG_SET);
    if (buf == NULL)
        return ERR_NOMEM;
    TRY(json_get_base64(o, name, buf, 32 * MSG_SET, &len));
    if (len % 32 != 0)
        return ERR_FORMAT;
    *ret_has = true;
    *ret = (struct msg_blob){buf, len};
    return ERR_OK;
}

/* What a device with key packages says of them; older ones say nothing. */
static enum err read_packages(struct sync *s, struct json_object *o)
{
    enum err e = json_get_hex(o, "packages", s->m.packages, sizeof s->m.packages);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    s->m.has_packages = true;
    return read_set(o, "package_set", &s->package_set, &s->m.has_package_set, &s->m.package_set);
}

static enum err read_request(struct sync *s, struct json_object *o, size_t body_len)
{
    snprintf(s->detail, sizeof s->detail,
             "A field of the sync is missing or not in its form (docs/formats.md).");
    TRY(json_get_hex(o, "device", s->device, sizeof s->device));
    TRY(json_get_hex(o, "envelopes", s->m.envelopes, sizeof s->m.envelopes));
    enum err e = json_get_hex(o, "audit_head", s->m.audit_head, sizeof s->m.audit_head);
    s->m.has_head = e == ERR_OK;
    if (e != ERR_NOT_FOUND)
        TRY(e);
    e = json_get_base64(o, "audit_word", s->word, sizeof s->word, &s->word_len);
    if (e != ERR_NOT_FOUND)
        TRY(e);
    e = json_get_hex(o, "last", s->last, sizeof s->last);
    s->brief = e == ERR_OK;
    if (e != ERR_NOT_FOUND)
        TRY(e);
    TRY(read_set(o, "set", &s->set, &s->m.has_set, &s->m.set));
    TRY(read_packages(s, o));
    TRY(read_numbers(s, o));
    TRY(read_records(s, o, body_len + 1));
    return read_proofs(s, o, body_len + 1);
}

enum err sync_read(const char *body, size_t len, struct sync *ret)
{
    struct json_object *o = NULL;
    snprintf(ret->detail, sizeof ret->detail, "The body is not one strict JSON object.");
    if (json_strict_parse(body, len, &o) != ERR_OK)
        return ERR_TRUNCATED;
    enum err e = read_request(ret, o, len);
    json_object_put(o);
    return e;
}

void sync_free(struct sync *s)
{
    if (s == NULL)
        return;
    free(s->bytes);
    free(s->set);
    free(s->package_set);
    free(s);
}
