/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_line.h"
#include "crypto/hash.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include "formats/text.h"
#include <string.h>

/* The text fields: name in JSON, place in the entry, room for it. One table for both directions. */
static const struct text_field {
    const char *key;
    size_t off, cap;
} text_fields[] = {
#define FIELD(key, member)                                                                                   \
    {                                                                                                        \
        key, offsetof(struct audit_entry, member), sizeof((struct audit_entry *)0)->member                   \
    }
    FIELD("chain", chain),   FIELD("who", who),       FIELD("role", role),     FIELD("action", action),
    FIELD("key_id", key_id), FIELD("volume", volume), FIELD("device", device), FIELD("reason", reason),
    FIELD("detail", detail), FIELD("prev", prev),
#undef FIELD
};
#define N_TEXT_FIELDS (sizeof text_fields / sizeof *text_fields)

static enum err check_text(const char *text, size_t cap)
{
    size_t len = strnlen(text, cap);
    if (len == cap)
        return ERR_RANGE;
    return text_is_printable(text, len) ? ERR_OK : ERR_FORMAT;
}

static enum err check_entry(const struct audit_entry *e)
{
    for (size_t i = 0; i < N_TEXT_FIELDS; i++)
        TRY(check_text((const char *)e + text_fields[i].off, text_fields[i].cap));
    return e->who[0] && e->action[0] ? ERR_OK : ERR_FORMAT;
}

static enum err add(struct json_object *o, const char *key, struct json_object *value)
{
    if (value && json_object_object_add(o, key, value) == 0)
        return ERR_OK;
    json_object_put(value);
    return ERR_NOMEM;
}

static enum err fill_object(const struct audit_entry *e, struct json_object *o)
{
    TRY(add(o, "n", json_object_new_uint64(e->n)));
    TRY(add(o, "time", json_object_new_uint64(e->time)));
    for (size_t i = 0; i < N_TEXT_FIELDS; i++)
        TRY(add(o, text_fields[i].key, json_object_new_string((const char *)e + text_fields[i].off)));
    return ERR_OK;
}

static enum err print_line(struct json_object *o, char *ret, size_t *ret_len)
{
    size_t len;
    const char *text =
        json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    if (!text)
        return ERR_NOMEM;
    if (len + 1 > AUDIT_LINE_MAX)
        return ERR_RANGE;
    memcpy(ret, text, len);
    ret[len] = '\n';
    *ret_len = len + 1;
    return ERR_OK;
}

enum err audit_line_encode(const struct audit_head *head, const struct audit_entry *entry,
                           char ret[static AUDIT_LINE_MAX], size_t *ret_len)
{
    struct audit_entry e = *entry;
    if (head->n >= INT64_MAX || e.time > INT64_MAX)
        return ERR_RANGE;
    e.n = head->n + 1;
    memcpy(e.chain, head->chain, sizeof e.chain);
    base16_encode(head->hash, sizeof head->hash, e.prev);
    TRY(check_entry(&e));
    struct json_object *o = json_object_new_object();
    enum err err = o ? fill_object(&e, o) : ERR_NOMEM;
    if (err == ERR_OK)
        err = print_line(o, ret, ret_len);
    json_object_put(o);
    return err;
}

static enum err read_object(struct json_object *o, struct audit_entry *ret)
{
    if (json_object_object_length(o) != 2 + (int)N_TEXT_FIELDS)
        return ERR_FORMAT;
    TRY(json_get_u64(o, "n", &ret->n));
    TRY(json_get_u64(o, "time", &ret->time));
    for (size_t i = 0; i < N_TEXT_FIELDS; i++) {
        const char *text;
        TRY(json_get_text(o, text_fields[i].key, text_fields[i].cap - 1, &text));
        memcpy((char *)ret + text_fields[i].off, text, strlen(text) + 1);
    }
    return check_entry(ret);
}

/* A chain has one ID, 16 bytes in hex; it is the first entry's. */
static enum err check_chain(const struct audit_head *head, const char *chain)
{
    uint8_t id[16];
    size_t len;
    if (head->n > 0)
        return strcmp(chain, head->chain) == 0 ? ERR_OK : ERR_AUTH;
    TRY(base16_decode(chain, strlen(chain), id, sizeof id, &len));
    return len == sizeof id ? ERR_OK : ERR_FORMAT;
}

static enum err parse_line(const char *line, size_t len, struct audit_entry *ret)
{
    struct json_object *o = NULL;
    TRY(json_strict_parse(line, len - 1, &o));
    enum err err = read_object(o, ret);
    json_object_put(o);
    return err == ERR_OK || err == ERR_NOMEM ? err : ERR_FORMAT;
}

enum err audit_check_line(struct audit_head *head, const char *line, size_t len,
                          struct audit_entry *ret_entry)
{
    struct audit_entry e = {.n = 0};
    char prev[65];
    uint8_t hash[32];
    if (len > AUDIT_LINE_MAX)
        return ERR_RANGE;
    if (len < 2 || line[len - 1] != '\n' || line[0] != '{')
        return ERR_FORMAT;
    TRY(parse_line(line, len, &e));
    base16_encode(head->hash, sizeof head->hash, prev);
    if (e.n != head->n + 1 || strcmp(e.prev, prev) != 0)
        return ERR_AUTH;
    TRY(check_chain(head, e.chain));
    TRY(cr_sha256(line, len, hash));
    head->n = e.n;
    memcpy(head->hash, hash, sizeof hash);
    memcpy(head->chain, e.chain, sizeof e.chain);
    if (ret_entry)
        *ret_entry = e;
    return ERR_OK;
}
