/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_line.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "formats/base.h"
#include "formats/host/audit_lines.h"
#include "formats/host/json_strict.h"
#include "formats/text.h"
#include <string.h>

/* The text fields: name in JSON, place in the entry, room for it. One table for both directions, for each of
 * the two parts of a line. */
struct text_field {
    const char *key;
    size_t off, cap;
};
#define FIELD(member)                                                                                        \
    {                                                                                                        \
#member, offsetof(struct audit_entry, member), sizeof((struct audit_entry *)0)->member               \
    }
static const struct text_field core_fields[] = {FIELD(chain),  FIELD(role),     FIELD(action),
                                                FIELD(key_id), FIELD(volume),   FIELD(device),
                                                FIELD(note),   FIELD(personal), FIELD(prev)};
static const struct text_field personal_fields[] = {FIELD(salt), FIELD(who), FIELD(reason), FIELD(detail)};
#undef FIELD
#define N_CORE     (sizeof core_fields / sizeof *core_fields)
#define N_PERSONAL (sizeof personal_fields / sizeof *personal_fields)

static enum err check_text(const char *text, size_t cap)
{
    size_t len = strnlen(text, cap);
    if (len == cap)
        return ERR_RANGE;
    return text_is_printable(text, len) ? ERR_OK : ERR_FORMAT;
}

static enum err check_texts(const struct audit_entry *e, const struct text_field *f, size_t n)
{
    for (size_t i = 0; i < n; i++)
        TRY(check_text((const char *)e + f[i].off, f[i].cap));
    return ERR_OK;
}

static enum err add(struct json_object *o, const char *key, struct json_object *value)
{
    if (value && json_object_object_add(o, key, value) == 0)
        return ERR_OK;
    json_object_put(value);
    return ERR_NOMEM;
}

static enum err add_texts(struct json_object *o, const struct audit_entry *e, const struct text_field *f,
                          size_t n)
{
    for (size_t i = 0; i < n; i++)
        TRY(add(o, f[i].key, json_object_new_string((const char *)e + f[i].off)));
    return ERR_OK;
}

static enum err print(struct json_object *o, char *ret, size_t cap, size_t *ret_len)
{
    size_t len;
    const char *text =
        json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    if (!text)
        return ERR_NOMEM;
    if (len > cap)
        return ERR_RANGE;
    memcpy(ret, text, len);
    *ret_len = len;
    return ERR_OK;
}

/* core: numbers and core_fields; otherwise personal_fields */
static enum err print_part(const struct audit_entry *e, bool core, char *ret, size_t cap, size_t *ret_len)
{
    struct json_object *o = json_object_new_object();
    enum err err = o ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK && core)
        err = add(o, "n", json_object_new_uint64(e->n));
    if (err == ERR_OK && core)
        err = add(o, "time", json_object_new_uint64(e->time));
    if (err == ERR_OK)
        err = core ? add_texts(o, e, core_fields, N_CORE) : add_texts(o, e, personal_fields, N_PERSONAL);
    if (err == ERR_OK)
        err = print(o, ret, cap, ret_len);
    json_object_put(o);
    return err;
}

/* The salt keeps a guess at an erased part from being proved by its hash. */
static enum err salt(struct audit_entry *e)
{
    uint8_t random[AUDIT_SALT];
    TRY(cr_random(random, sizeof random));
    base16_encode(random, sizeof random, e->salt);
    return ERR_OK;
}

enum err audit_line_encode(const struct audit_head *head, const struct audit_entry *entry,
                           char ret[static AUDIT_LINE_MAX], size_t *ret_len)
{
    struct audit_entry e = *entry;
    char personal[AUDIT_LINE_MAX];
    uint8_t hash[32];
    size_t n_core, n_personal;
    if (head->n >= INT64_MAX || e.time > INT64_MAX)
        return ERR_RANGE;
    e.n = head->n + 1;
    memcpy(e.chain, head->chain, sizeof e.chain);
    base16_encode(head->hash, sizeof head->hash, e.prev);
    memset(e.personal, 0, sizeof e.personal);
    TRY(salt(&e));
    TRY(check_texts(&e, core_fields, N_CORE));
    TRY(check_texts(&e, personal_fields, N_PERSONAL));
    if (!e.who[0] || !e.action[0])
        return ERR_FORMAT;
    TRY(print_part(&e, false, personal, sizeof personal, &n_personal));
    TRY(cr_sha256(personal, n_personal, hash));
    base16_encode(hash, sizeof hash, e.personal);
    TRY(print_part(&e, true, ret, AUDIT_LINE_MAX, &n_core));
    if (n_core + n_personal + 2 > AUDIT_LINE_MAX)
        return ERR_RANGE;
    ret[n_core] = '\t';
    memcpy(ret + n_core + 1, personal, n_personal);
    ret[n_core + 1 + n_personal] = '\n';
    *ret_len = n_core + n_personal + 2;
    return ERR_OK;
}

static enum err read_texts(struct json_object *o, const struct text_field *f, size_t n,
                           struct audit_entry *ret)
{
    for (size_t i = 0; i < n; i++) {
        const char *text;
        TRY(json_get_text(o, f[i].key, f[i].cap - 1, &text));
        memcpy((char *)ret + f[i].off, text, strlen(text) + 1);
    }
    return check_texts(ret, f, n);
}

static enum err read_core(struct json_object *o, struct audit_entry *ret)
{
    if (json_object_object_length(o) != 2 + (int)N_CORE)
        return ERR_FORMAT;
    TRY(json_get_u64(o, "n", &ret->n));
    TRY(json_get_u64(o, "time", &ret->time));
    TRY(read_texts(o, core_fields, N_CORE, ret));
    return ret->action[0] ? ERR_OK : ERR_FORMAT;
}

static enum err read_personal(struct json_object *o, struct audit_entry *ret)
{
    if (json_object_object_length(o) != (int)N_PERSONAL)
        return ERR_FORMAT;
    TRY(read_texts(o, personal_fields, N_PERSONAL, ret));
    return ret->who[0] ? ERR_OK : ERR_FORMAT;
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

static enum err parse(const char *text, size_t len,
                      enum err (*read)(struct json_object *, struct audit_entry *), struct audit_entry *ret)
{
    struct json_object *o = NULL;
    TRY(json_strict_parse(text, len, &o));
    enum err err = read(o, ret);
    json_object_put(o);
    return err == ERR_OK || err == ERR_NOMEM ? err : ERR_FORMAT;
}

/* A part that begins with a blank was erased; what a power cut left of the rest does not count. */
static enum err parse_personal(const char *text, size_t len, struct audit_entry *ret)
{
    uint8_t hash[32];
    char hex[65];
    if (len > 0 && text[0] == ' ') {
        ret->erased = true;
        return ERR_OK;
    }
    TRY(cr_sha256(text, len, hash));
    base16_encode(hash, sizeof hash, hex);
    if (strcmp(hex, ret->personal) != 0)
        return ERR_AUTH;
    return parse(text, len, read_personal, ret);
}

enum err audit_check_line(struct audit_head *head, const char *line, size_t len,
                          struct audit_entry *ret_entry)
{
    struct audit_entry e = {.n = 0};
    char prev[65];
    size_t core;
    if (len > AUDIT_LINE_MAX)
        return ERR_RANGE;
    if (len < 2 || memchr(line, '\n', len) != line + len - 1 || line[0] != '{')
        return ERR_FORMAT;
    TRY(audit_line_core(line, len - 1, &core));
    TRY(parse(line, core, read_core, &e));
    base16_encode(head->hash, sizeof head->hash, prev);
    if (e.n != head->n + 1 || strcmp(e.prev, prev) != 0)
        return ERR_AUTH;
    TRY(check_chain(head, e.chain));
    TRY(parse_personal(line + core + 1, len - core - 2, &e));
    TRY(cr_sha256(line, core, e.hash));
    head->n = e.n;
    memcpy(head->hash, e.hash, sizeof e.hash);
    memcpy(head->chain, e.chain, sizeof e.chain);
    if (ret_entry)
        *ret_entry = e;
    return ERR_OK;
}
