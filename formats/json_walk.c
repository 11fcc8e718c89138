/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parent links are on although they cost four bytes a token: without them jsmn searches backwards for the
 * enclosing object at every comma and bracket, which is quadratic (`{"":0,"":0,…}` of 4 MiB would take hours
 * in firmware). After parsing, the parent's place holds the index behind the token's subtree. */
#define JSMN_STATIC
#define JSMN_PARENT_LINKS
#define JSMN_STRICT
#include "formats/json_walk.h"
#include "formats/base.h"
#include "formats/json_grammar.h"
#include "formats/json_string.h"
#include <string.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <jsmn.h>
#pragma GCC diagnostic pop

_Static_assert(sizeof(jsmntok_t) == 20, "JW_SCRATCH counts 20 bytes a token");

static jsmntok_t *token(const struct jw *j, int node)
{
    return (jsmntok_t *)j->tokens + node;
}

/* Index behind the subtree of each token; children come after their parent, so backwards. The sizes are
 * jsmn's: members of an object, elements of an array, 1 for a name. */
static void link_subtrees(struct jw *j)
{
    for (int i = j->n - 1; i >= 0; i--) {
        int next = i + 1;
        for (int k = 0; k < token(j, i)->size; k++)
            next = token(j, next)->parent;
        token(j, i)->parent = next;
    }
}

enum err jw_parse(const char *text, size_t len, void *scratch, size_t scratch_len, struct jw *ret)
{
    if (len > JW_MAX)
        return ERR_RANGE;
    size_t n;
    TRY(json_grammar_check(text, len, JW_DEPTH, &n));
    size_t skip = -(uintptr_t)scratch % _Alignof(jsmntok_t);
    if (scratch_len < skip || (scratch_len - skip) / sizeof(jsmntok_t) < n)
        return ERR_FULL;
    struct jw j = {.text = text, .len = len, .tokens = (uint8_t *)scratch + skip, .n = (int)n};
    jsmn_parser p;
    jsmn_init(&p);
    /* A lone number is no JSON text in jsmn's strict mode; nobody here has a use for one either. */
    if (jsmn_parse(&p, text, len, token(&j, 0), (unsigned)n) != (int)n || p.toknext != n)
        return ERR_FORMAT;
    link_subtrees(&j);
    *ret = j;
    return ERR_OK;
}

enum jw_type jw_type(const struct jw *j, int node)
{
    if (node < 0 || node >= j->n)
        return JW_MISSING;
    const jsmntok_t *t = token(j, node);
    switch (t->type) {
    case JSMN_OBJECT:
        return JW_OBJECT;
    case JSMN_ARRAY:
        return JW_ARRAY;
    case JSMN_STRING:
        return JW_STRING;
    default:
        break;
    }
    char c = j->text[t->start];
    if (c != '-' && (c < '0' || c > '9'))
        return JW_LITERAL;
    for (int i = t->start; i < t->end; i++)
        if (j->text[i] == '.' || (j->text[i] | 0x20) == 'e')
            return JW_REAL;
    return JW_NUMBER;
}

unsigned jw_count(const struct jw *j, int node)
{
    enum jw_type t = jw_type(j, node);
    return t == JW_OBJECT || t == JW_ARRAY ? (unsigned)token(j, node)->size : 0;
}

void jw_each(const struct jw *j, int node, struct jw_each *ret)
{
    *ret = (struct jw_each){.name = JW_NONE,
                            .value = JW_NONE,
                            .next = node + 1,
                            .left = jw_count(j, node),
                            .object = jw_type(j, node) == JW_OBJECT};
}

bool jw_each_next(const struct jw *j, struct jw_each *e)
{
    if (e->left == 0)
        return false;
    e->left--;
    e->name = e->object ? e->next : JW_NONE;
    e->value = e->object ? e->next + 1 : e->next;
    e->next = token(j, e->next)->parent;
    return true;
}

int jw_get(const struct jw *j, int object, const char *name)
{
    int found = JW_NONE;
    struct jw_each e;
    if (jw_type(j, object) != JW_OBJECT)
        return JW_NONE;
    for (jw_each(j, object, &e); jw_each_next(j, &e);)
        if (jw_is(j, e.name, name))
            found = e.value;
    return found;
}

int jw_get_as(const struct jw *j, int object, const char *name, enum jw_type type)
{
    int node = jw_get(j, object, name);
    return jw_type(j, node) == type ? node : JW_NONE;
}

size_t jw_offset(const struct jw *j, int node)
{
    if (jw_type(j, node) == JW_MISSING)
        return 0;
    /* jsmn's start of a string is behind its quotation mark */
    return (size_t)token(j, node)->start - (jw_type(j, node) == JW_STRING);
}

void jw_excerpt(const struct jw *j, int node, char *ret, size_t cap)
{
    ret[0] = 0;
    if (jw_type(j, node) != JW_STRING)
        return;
    const char *p = j->text + token(j, node)->start;
    size_t len = (size_t)(token(j, node)->end - token(j, node)->start), n = len < cap ? len : cap - 1;
    for (size_t i = 0; i < n; i++)
        ret[i] = p[i] >= ' ' && p[i] <= '~' ? p[i] : '?';
    if (len > n)
        memset(ret + n - 3, '.', 3);
    ret[n] = 0;
}

enum err jw_text(const struct jw *j, int node, char *ret, size_t cap, size_t *ret_len)
{
    if (jw_type(j, node) != JW_STRING)
        return ERR_FORMAT;
    const char *p = j->text + token(j, node)->start, *end = j->text + token(j, node)->end;
    size_t len = 0;
    /* Twice: first to see that it fits, so that nothing is written on failure. */
    for (const char *q = p; q < end;) {
        char c[4];
        size_t n = json_string_next(&q, end, c);
        if (n == 0)
            return ERR_FORMAT;
        len += n;
    }
    if (len >= cap)
        return ERR_FULL;
    for (size_t at = 0; p < end;) {
        char c[4];
        size_t n = json_string_next(&p, end, c);
        memcpy(ret + at, c, n);
        at += n;
    }
    ret[len] = 0;
    *ret_len = len;
    return ERR_OK;
}

/* How much of text the string starts with; *ret_end: and nothing follows. */
static bool match(const struct jw *j, int node, const char *text, bool *ret_end)
{
    if (jw_type(j, node) != JW_STRING)
        return false;
    const char *p = j->text + token(j, node)->start, *end = j->text + token(j, node)->end;
    for (size_t left = strlen(text), n; left > 0; left -= n, text += n) {
        char c[4];
        n = p < end ? json_string_next(&p, end, c) : 0;
        if (n == 0 || n > left || memcmp(c, text, n) != 0)
            return false;
    }
    *ret_end = p == end;
    return true;
}

bool jw_is(const struct jw *j, int node, const char *text)
{
    bool end;
    return match(j, node, text, &end) && end;
}

bool jw_starts(const struct jw *j, int node, const char *prefix)
{
    bool end;
    return match(j, node, prefix, &end);
}

bool jw_same(const struct jw *j, int a, int b)
{
    if (jw_type(j, a) != jw_type(j, b) || jw_type(j, a) == JW_MISSING)
        return false;
    const jsmntok_t *s = token(j, a), *t = token(j, b);
    size_t len = (size_t)(s->end - s->start);
    return len == (size_t)(t->end - t->start) && memcmp(j->text + s->start, j->text + t->start, len) == 0;
}

/* In a string a digit may be written as an escape. */
static bool next_digit(const char **p, const char *end, enum jw_type type, unsigned *ret)
{
    char c[4] = {**p};
    if (type == JW_NUMBER)
        ++*p;
    else if (json_string_next(p, end, c) != 1)
        return false;
    *ret = (unsigned)(c[0] - '0');
    return *ret <= 9;
}

enum err jw_u64(const struct jw *j, int node, enum jw_type type, uint64_t max, uint64_t *ret)
{
    if (jw_type(j, node) != type || (type != JW_NUMBER && type != JW_STRING))
        return ERR_FORMAT;
    const char *p = j->text + token(j, node)->start, *end = j->text + token(j, node)->end;
    if (p == end)
        return ERR_FORMAT;
    uint64_t v = 0;
    bool over = false;
    while (p < end) {
        unsigned digit;
        if (!next_digit(&p, end, type, &digit))
            return ERR_FORMAT;
        over = over || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v);
    }
    if (over || v > max)
        return ERR_RANGE;
    *ret = v;
    return ERR_OK;
}

enum err jw_u32(const struct jw *j, int node, enum jw_type type, uint32_t *ret)
{
    uint64_t v;
    TRY(jw_u64(j, node, type, UINT32_MAX, &v));
    *ret = (uint32_t)v;
    return ERR_OK;
}

enum err jw_bool(const struct jw *j, int node, bool *ret)
{
    if (jw_type(j, node) != JW_LITERAL)
        return ERR_FORMAT;
    char c = j->text[token(j, node)->start]; /* the grammar check knows three literals only */
    if (c == 'n')
        return ERR_FORMAT;
    *ret = c == 't';
    return ERR_OK;
}

enum err jw_base64(const struct jw *j, int node, uint8_t *ret, size_t cap, size_t *ret_len)
{
    char text[BASE64_LEN(JW_BYTES_MAX) + 1];
    size_t len;
    TRY(jw_text(j, node, text, sizeof text, &len));
    return base64_decode(text, len, ret, cap, ret_len);
}
