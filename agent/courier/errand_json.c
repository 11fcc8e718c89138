/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/errand.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <stdlib.h>
#include <string.h>

/* Requests. json-c copies; a failed allocation anywhere shows as a missing member, so every one is counted.
 */

#define BEGINS_LEN 8 /* bytes of what only has to be told from another. source: docs/formats.md#sync */

static bool add(struct json_object *o, const char *key, struct json_object *value)
{
    if (value && json_object_object_add(o, key, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

static struct json_object *text(struct msg_span s)
{
    return json_object_new_string_len((const char *)s.p, (int)s.len);
}

static struct json_object *hex(struct msg_span s)
{
    char buf[BASE16_LEN(64) + 1] = "";
    if (s.len > 64)
        return NULL;
    base16_encode(s.p, s.len, buf);
    return json_object_new_string(buf);
}

static struct json_object *base64(struct msg_span s)
{
    char *buf = malloc(BASE64_LEN(s.len) + 1);
    if (!buf)
        return NULL;
    base64_encode(s.p, s.len, buf);
    struct json_object *o = json_object_new_string(buf);
    free(buf);
    return o;
}

static struct json_object *base64_array(const struct msg_list *l)
{
    struct json_object *array = json_object_new_array();
    for (uint32_t i = 0; array && i < l->n; i++) {
        struct json_object *item = base64(l->item[i]);
        if (!item || json_object_array_add(array, item) < 0) {
            json_object_put(item);
            json_object_put(array);
            return NULL;
        }
    }
    return array;
}

static enum err print(struct json_object *o, bool whole, char **ret)
{
    const char *json = whole ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) : NULL;
    char *copy = json ? strdup(json) : NULL;
    json_object_put(o);
    if (!copy)
        return ERR_NOMEM;
    *ret = copy;
    return ERR_OK;
}

enum err errand_enroll_request(const struct msg *m, char **ret)
{
    struct json_object *o = json_object_new_object();
    if (m->enroll_do.time > INT64_MAX)
        return json_object_put(o), ERR_RANGE;
    bool whole =
        o && add(o, "token", text(m->enroll_do.token)) && add(o, "device_spki", base64(m->enroll_do.spki)) &&
        add(o, "courier_csr", text(m->enroll_do.csr)) && add(o, "computer", text(m->enroll_do.computer)) &&
        add(o, "time", json_object_new_int64((int64_t)m->enroll_do.time)) &&
        add(o, "signature", base64(m->enroll_do.signature));
    return print(o, whole, ret);
}

/* What was never made is not told. */
static bool add_begin(struct json_object *o, const char *key, struct msg_span s)
{
    return s.len < BEGINS_LEN || add(o, key, hex((struct msg_span){s.p, BEGINS_LEN}));
}

/* Most devices have none, and say nothing of them. */
static bool add_packages(struct json_object *o, const struct msg *m)
{
    return add_begin(o, "packages", m->sync_batch.packages) &&
           (m->sync_batch.package_set.len == 0 || add(o, "package_set", base64(m->sync_batch.package_set)));
}

enum err errand_sync_request(const struct msg *m, char **ret)
{
    struct json_object *o = json_object_new_object();
    bool whole =
        o && add_begin(o, "device", m->sync_batch.device) &&
        (m->sync_batch.records.n == 0 || add(o, "records", base64_array(&m->sync_batch.records))) &&
        add_begin(o, "envelopes", m->sync_batch.envelopes) &&
        (m->sync_batch.audit_head.len == 0 || add(o, "audit_head", hex(m->sync_batch.audit_head))) &&
        add_begin(o, "last", m->sync_batch.last) &&
        (m->sync_batch.audit_word.len == 0 || add(o, "audit_word", base64(m->sync_batch.audit_word))) &&
        (m->sync_batch.set.len == 0 || add(o, "set", base64(m->sync_batch.set))) &&
        (m->sync_batch.attempt == 0 || add(o, "attempt", json_object_new_uint64(m->sync_batch.attempt))) &&
        (m->sync_batch.spki.len == 0 || add(o, "device_spki", base64(m->sync_batch.spki))) &&
        (m->sync_batch.proofs.n == 0 || add(o, "proofs", base64_array(&m->sync_batch.proofs))) &&
        (m->sync_batch.policy == 0 || add(o, "policy", json_object_new_uint64(m->sync_batch.policy))) &&
        add_packages(o, m);
    return print(o, whole, ret);
}

/* Answers. */

enum err errand_enroll_answer(const char *body, size_t len, char **ret_certificate)
{
    struct json_object *o;
    const char *pem;
    uint8_t device[32];
    char *copy = NULL;

    TRY(json_strict_parse(body, len, &o));
    enum err e = json_get_hex(o, "device", device, sizeof device);
    if (e == ERR_OK)
        e = json_get_text(o, "certificate", ERRAND_PEM_MAX - 1, &pem);
    if (e == ERR_OK && !(copy = strdup(pem)))
        e = ERR_NOMEM;
    json_object_put(o);
    if (e == ERR_OK)
        *ret_certificate = copy;
    return e;
}

/* Decoded bytes are written one behind the other; decoded text is never longer than the body it stood in. */
struct arena {
    uint8_t *base;
    size_t cap, off;
};

static enum err optional(enum err e)
{
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err take_hex(struct arena *a, struct json_object *o, const char *key, size_t len,
                         struct msg_span *ret)
{
    if (a->cap - a->off < len)
        return ERR_FORMAT;
    TRY(json_get_hex(o, key, a->base + a->off, len));
    *ret = (struct msg_span){a->base + a->off, len};
    a->off += len;
    return ERR_OK;
}

static enum err take_base64_array(struct arena *a, struct json_object *o, const char *key,
                                  struct msg_list *ret)
{
    struct json_object *array;
    TRY(json_get_array(o, key, MSG_LIST_MAX, &array));
    ret->n = (uint32_t)json_object_array_length(array);
    for (uint32_t i = 0; i < ret->n; i++) {
        struct json_object *item = json_object_array_get_idx(array, i);
        size_t len;
        if (!json_object_is_type(item, json_type_string))
            return ERR_FORMAT;
        TRY(base64_decode(json_object_get_string(item), (size_t)json_object_get_string_len(item),
                          a->base + a->off, a->cap - a->off, &len));
        ret->item[i] = (struct msg_span){a->base + a->off, len};
        a->off += len;
    }
    return ERR_OK;
}

static enum err take_object(struct json_object *o, const char *key, struct json_object **ret)
{
    if (!json_object_object_get_ex(o, key, ret))
        return ERR_NOT_FOUND;
    return !*ret || json_object_is_type(*ret, json_type_object) ? ERR_OK : ERR_FORMAT;
}

static enum err take_known(struct arena *a, struct json_object *o, struct msg *ret)
{
    struct json_object *known;
    TRY(take_object(o, "known", &known));
    if (!known)
        return ERR_OK; /* the server knows no record of this device */
    TRY(take_hex(a, known, "incarnation", BEGINS_LEN, &ret->sync_answer.known_incarnation));
    TRY(json_get_u64(known, "sequence", &ret->sync_answer.known_sequence));
    return take_hex(a, known, "name", BEGINS_LEN, &ret->sync_answer.known_name);
}

static enum err take_bool(struct json_object *o, const char *key, uint32_t *ret)
{
    struct json_object *v;
    if (!json_object_object_get_ex(o, key, &v))
        return ERR_NOT_FOUND;
    if (!json_object_is_type(v, json_type_boolean))
        return ERR_FORMAT;
    *ret = json_object_get_boolean(v) ? 1 : 0;
    return ERR_OK;
}

static enum err take_bytes(struct arena *a, struct json_object *o, const char *key, struct msg_span *ret)
{
    size_t len;
    TRY(json_get_base64(o, key, a->base + a->off, a->cap - a->off, &len));
    *ret = (struct msg_span){a->base + a->off, len};
    a->off += len;
    return ERR_OK;
}

static enum err take_audit_head(struct arena *a, struct json_object *o, struct msg *ret)
{
    struct json_object *head;
    TRY(take_object(o, "audit_head", &head));
    if (!head)
        return ERR_OK;
    TRY(json_get_u64(head, "length", &ret->sync_answer.audit_length));
    TRY(take_hex(a, head, "hash", 32, &ret->sync_answer.audit_hash));
    TRY(optional(take_hex(a, head, "chain", 4, &ret->sync_answer.audit_chain)));
    return optional(take_bytes(a, head, "word", &ret->sync_answer.audit_word));
}

static enum err take_text(struct arena *a, struct json_object *o, const char *key, struct msg_span *ret)
{
    const char *text;
    TRY(json_get_text(o, key, ERRAND_PEM_MAX - 1, &text));
    size_t len = strlen(text);
    if (a->cap - a->off < len)
        return ERR_FORMAT;
    memcpy(a->base + a->off, text, len);
    *ret = (struct msg_span){a->base + a->off, len};
    a->off += len;
    return ERR_OK;
}

static enum err take_policy(struct arena *a, struct json_object *o, struct msg *m)
{
    struct json_object *policy;
    TRY(take_object(o, "policy", &policy));
    if (!policy)
        return ERR_OK;
    enum err e = take_bytes(a, policy, "json", &m->sync_answer.policy);
    if (e == ERR_OK)
        e = take_bytes(a, policy, "sig", &m->sync_answer.policy_sig);
    return e == ERR_NOT_FOUND ? ERR_FORMAT : e;
}

/* Hashes, 32 bytes each; NOT_FOUND when there is no such member. */
static enum err take_hashes(struct arena *a, struct json_object *o, const char *key, struct msg_span *ret)
{
    TRY(take_bytes(a, o, key, ret));
    return ret->len % 32 == 0 ? ERR_OK : ERR_FORMAT;
}

static enum err take_packages(struct arena *a, struct json_object *o, struct msg *m)
{
    struct json_object *p;
    TRY(take_object(o, "packages", &p));
    if (!p)
        return ERR_OK;
    TRY(optional(take_bool(p, "want_set", &m->sync_answer.want_packages)));
    TRY(optional(take_hex(a, p, "digest", BEGINS_LEN, &m->sync_answer.server_packages)));
    enum err e = take_hashes(a, p, "missing", &m->sync_answer.missing_packages);
    m->sync_answer.has_missing_packages = e == ERR_OK;
    return optional(e);
}

/* What older servers do not say, and most answers need not. */
static enum err read_rare(struct json_object *o, struct arena *a, struct msg *m)
{
    TRY(optional(json_get_u64(o, "time", &m->sync_answer.time)));
    TRY(optional(take_bool(o, "want_set", &m->sync_answer.want_set)));
    TRY(optional(take_bool(o, "want_audit_word", &m->sync_answer.want_audit_word)));
    TRY(optional(take_hex(a, o, "envelopes", BEGINS_LEN, &m->sync_answer.server_envelopes)));
    if (m->sync_answer.server_envelopes.len > 0)
        m->sync_answer.envelopes_match = 0; /* it is told only where they differ */
    enum err e = take_hashes(a, o, "missing", &m->sync_answer.missing);
    m->sync_answer.has_missing = e == ERR_OK;
    TRY(optional(e));
    TRY(optional(take_packages(a, o, m)));
    TRY(optional(take_policy(a, o, m)));
    return optional(take_text(a, o, "certificate", &m->sync_answer.certificate));
}

static enum err read_answer(struct json_object *o, struct arena *a, struct msg *m)
{
    m->sync_answer.envelopes_match = 1;
    TRY(optional(take_base64_array(a, o, "receipts", &m->sync_answer.receipts)));
    TRY(optional(take_base64_array(a, o, "commands", &m->sync_answer.commands)));
    TRY(optional(take_known(a, o, m)));
    TRY(optional(take_audit_head(a, o, m)));
    TRY(optional(take_bool(o, "envelopes_match", &m->sync_answer.envelopes_match)));
    TRY(json_get_u64(o, "retry_after", &m->sync_answer.retry_after_s));
    return read_rare(o, a, m);
}

enum err errand_sync_answer(const char *body, size_t len, struct msg *ret, uint8_t **ret_arena)
{
    struct json_object *o;
    TRY(json_strict_parse(body, len, &o));
    struct arena a = {malloc(len), len, 0};
    struct msg *m = calloc(1, sizeof *m);
    enum err e = a.base && m ? read_answer(o, &a, m) : ERR_NOMEM;
    json_object_put(o);
    if (e == ERR_OK) {
        m->type = MSG_SYNC_ANSWER;
        m->sync_answer.status = MSG_DONE;
        *ret = *m;
        *ret_arena = a.base;
    } else {
        free(a.base);
    }
    free(m);
    return e;
}

void errand_problem(const char *body, size_t len, char *ret, size_t cap)
{
    struct json_object *o;
    const char *sentence;

    ret[0] = 0;
    if (!body || json_strict_parse(body, len, &o) != ERR_OK)
        return;
    if (json_get_text(o, "detail", cap - 1, &sentence) == ERR_OK ||
        json_get_text(o, "title", cap - 1, &sentence) == ERR_OK) {
        size_t n = 0;
        /* It ends in a log and on a terminal: no control characters from the network. */
        for (const char *p = sentence; *p && n + 1 < cap; p++)
            ret[n++] = (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p;
        ret[n] = 0;
    }
    json_object_put(o);
}
