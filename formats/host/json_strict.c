/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/json_strict.h"
#include "formats/base.h"
#include "formats/text.h"
#include <stdbool.h>
#include <string.h>

/* What json-c 0.16 lets pass even in its strict mode and we do not:
 * - two equal keys: it keeps the last without a word. Outside strings a colon stands only behind a key, so a
 * text with more such colons than the parsed tree has members held a key twice;
 * - strings in single quotes, control characters in strings;
 * - zero bytes, also escaped: they would end a C string early, so that two different keys look the same;
 * - an empty array or object one level deeper than its limit. */
struct scan {
    bool in_string;
    unsigned depth;
    size_t n_keys;
};

static enum err scan_structure(struct scan *s, char c)
{
    s->n_keys += c == ':';
    if (c == '{' || c == '[')
        s->depth++;
    else if ((c == '}' || c == ']') && s->depth > 0)
        s->depth--;
    if (s->depth > JSON_DEPTH_MAX)
        return ERR_RANGE;
    return c == '\'' ? ERR_FORMAT : ERR_OK;
}

static enum err scan(const char *text, size_t len, size_t *ret_keys)
{
    struct scan s = {.n_keys = 0};
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == 0 || (s.in_string && c < 0x20))
            return ERR_FORMAT;
        if (c == '"')
            s.in_string = !s.in_string;
        else if (!s.in_string)
            TRY(scan_structure(&s, text[i]));
        else if (c == '\\') {
            i++; /* whatever is escaped does not end the string */
            if (len - i >= 5 && memcmp(text + i, "u0000", 5) == 0)
                return ERR_FORMAT;
        }
    }
    *ret_keys = s.n_keys;
    return s.in_string ? ERR_FORMAT : ERR_OK;
}

static size_t count_members(struct json_object *o)
{
    size_t n = 0;
    if (json_object_is_type(o, json_type_array))
        for (size_t i = 0; i < json_object_array_length(o); i++)
            n += count_members(json_object_array_get_idx(o, i));
    if (json_object_is_type(o, json_type_object)) {
        json_object_object_foreach(o, key, value)
        {
            (void)key;
            n += 1 + count_members(value);
        }
    }
    return n;
}

static enum err err_from_json(enum json_tokener_error e)
{
    switch (e) {
    case json_tokener_success:
        return ERR_OK;
    case json_tokener_error_depth:
        return ERR_RANGE;
    default:
        return ERR_FORMAT;
    }
}

static enum err parse(const char *text, size_t len, struct json_object **ret)
{
    struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH_MAX + 1); /* it counts scalars as a level */
    if (!tok)
        return ERR_NOMEM;
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *o = json_tokener_parse_ex(tok, text, (int)len);
    enum err err = err_from_json(json_tokener_get_error(tok));
    if (err == ERR_OK &&
        (json_tokener_get_parse_end(tok) != len || !json_object_is_type(o, json_type_object)))
        err = ERR_FORMAT;
    json_tokener_free(tok);
    if (err != ERR_OK) {
        json_object_put(o);
        return err;
    }
    *ret = o;
    return ERR_OK;
}

static size_t trim_end(const char *text, size_t len)
{
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1])
        len--;
    return len;
}

enum err json_strict_parse(const char *text, size_t len, struct json_object **ret)
{
    struct json_object *o = NULL;
    size_t n_keys;
    if (len > JSON_BYTES_MAX)
        return ERR_RANGE;
    if (!text_is_utf8(text, len))
        return ERR_FORMAT;
    len = trim_end(text, len);
    TRY(scan(text, len, &n_keys));
    TRY(parse(text, len, &o));
    if (count_members(o) != n_keys) {
        json_object_put(o);
        return ERR_FORMAT;
    }
    *ret = o;
    return ERR_OK;
}

static enum err get(struct json_object *o, const char *key, json_type type, struct json_object **ret)
{
    struct json_object *v;
    if (!json_object_object_get_ex(o, key, &v))
        return ERR_NOT_FOUND;
    if (!json_object_is_type(v, type))
        return ERR_FORMAT;
    *ret = v;
    return ERR_OK;
}

enum err json_get_text(struct json_object *o, const char *key, size_t max, const char **ret)
{
    struct json_object *v;
    TRY(get(o, key, json_type_string, &v));
    if ((size_t)json_object_get_string_len(v) > max)
        return ERR_RANGE;
    *ret = json_object_get_string(v);
    return ERR_OK;
}

enum err json_get_u64(struct json_object *o, const char *key, uint64_t *ret)
{
    struct json_object *v;
    TRY(get(o, key, json_type_int, &v));
    uint64_t u = json_object_get_uint64(v);
    /* The largest value is also what json-c makes of all larger ones. */
    if (json_object_get_int64(v) < 0 || u == UINT64_MAX)
        return ERR_RANGE;
    *ret = u;
    return ERR_OK;
}

enum err json_get_array(struct json_object *o, const char *key, size_t max, struct json_object **ret)
{
    struct json_object *v;
    TRY(get(o, key, json_type_array, &v));
    if (json_object_array_length(v) > max)
        return ERR_RANGE;
    *ret = v;
    return ERR_OK;
}

enum err json_get_base64(struct json_object *o, const char *key, uint8_t *ret, size_t cap, size_t *ret_len)
{
    const char *text;
    TRY(json_get_text(o, key, BASE64_LEN(cap), &text));
    enum err err = base64_decode(text, strlen(text), ret, cap, ret_len);
    return err == ERR_FULL ? ERR_RANGE : err;
}

enum err json_get_hex(struct json_object *o, const char *key, uint8_t *ret, size_t len)
{
    const char *text;
    size_t n;
    TRY(json_get_text(o, key, BASE16_LEN(len), &text));
    TRY(base16_decode(text, strlen(text), ret, len, &n));
    return n == len ? ERR_OK : ERR_RANGE;
}
