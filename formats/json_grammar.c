/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/json_grammar.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum want {
    WANT_VALUE,
    WANT_VALUE_OR_END,
    WANT_NAME,
    WANT_NAME_OR_END,
    WANT_COLON,
    WANT_COMMA,
    WANT_NOTHING
};

struct scan {
    const char *p, *end;
    uint32_t objects; /* bit d - 1: the enclosing level d is an object */
    unsigned depth, max_depth;
    enum want want;
    size_t tokens;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind the backslash. */
static bool scan_escape(struct scan *s)
{
    if (s->p == s->end)
        return false;
    char c = *s->p++;
    if (c != 'u')
        return memchr("\"\\/bfnrt", c, 8) != NULL;
    for (int i = 0; i < 4; i++, s->p++)
        if (s->p == s->end || !is_hex(*s->p))
            return false;
    return true;
}

static bool scan_string(struct scan *s)
{
    s->p++;
    while (s->p < s->end) {
        char c = *s->p++;
        if (c == '"')
            return true;
        if ((uint8_t)c < 0x20 || (c == '\\' && !scan_escape(s)))
            return false;
    }
    return false;
}

static bool scan_digits(struct scan *s)
{
    const char *start = s->p;
    while (s->p < s->end && is_digit(*s->p))
        s->p++;
    return s->p > start;
}

static bool scan_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    bool zero = s->p < s->end && *s->p == '0';
    const char *start = s->p;
    if (!scan_digits(s) || (zero && s->p - start > 1))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!scan_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_literal(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool in_object(const struct scan *s)
{
    return s->depth > 0 && (s->objects >> (s->depth - 1) & 1) != 0;
}

static bool enter(struct scan *s, bool object)
{
    s->objects = (s->objects & ~(UINT32_C(1) << s->depth)) | (uint32_t)object << s->depth;
    s->depth++;
    s->p++;
    s->want = object ? WANT_NAME_OR_END : WANT_VALUE_OR_END;
    return true;
}

static bool leave(struct scan *s, char bracket)
{
    if (s->depth == 0 || in_object(s) != (bracket == '}'))
        return false;
    s->depth--;
    s->p++;
    s->want = s->depth > 0 ? WANT_COMMA : WANT_NOTHING;
    return true;
}

static bool scan_value(struct scan *s)
{
    char c = *s->p;
    if (s->depth == s->max_depth)
        return false;
    s->tokens++;
    if (c == '{' || c == '[')
        return enter(s, c == '{');
    s->want = s->depth > 0 ? WANT_COMMA : WANT_NOTHING;
    if (c == '"')
        return scan_string(s);
    if (c == '-' || is_digit(c))
        return scan_number(s);
    return scan_literal(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
}

static bool scan_name(struct scan *s)
{
    s->tokens++;
    s->want = WANT_COLON;
    return *s->p == '"' && scan_string(s);
}

static bool scan_mark(struct scan *s, char mark, enum want next)
{
    if (*s->p != mark)
        return false;
    s->want = next;
    s->p++;
    return true;
}

/* One token or mark. */
static bool step(struct scan *s)
{
    char c = *s->p;
    bool end = c == '}' || c == ']';
    switch (s->want) {
    case WANT_VALUE_OR_END:
        return end ? leave(s, c) : scan_value(s);
    case WANT_VALUE:
        return scan_value(s);
    case WANT_NAME_OR_END:
        return end ? leave(s, c) : scan_name(s);
    case WANT_NAME:
        return scan_name(s);
    case WANT_COLON:
        return scan_mark(s, ':', WANT_VALUE);
    case WANT_COMMA:
        return end ? leave(s, c) : scan_mark(s, ',', in_object(s) ? WANT_NAME : WANT_VALUE);
    default:
        return false;
    }
}

/* To the end or to the first wrong byte. */
static bool scan_text(struct scan *s)
{
    while (s->p < s->end) {
        if (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')
            s->p++;
        else if (!step(s))
            return false;
    }
    return s->want == WANT_NOTHING;
}

static struct scan scan_init(const char *text, size_t len, unsigned max_depth)
{
    return (struct scan){
        .p = text, .end = text + len, .max_depth = max_depth < 32 ? max_depth : 32, .want = WANT_VALUE};
}

enum err json_grammar_check(const char *text, size_t len, unsigned max_depth, size_t *ret_tokens)
{
    struct scan s = scan_init(text, len, max_depth);
    if (!scan_text(&s))
        return ERR_FORMAT;
    *ret_tokens = s.tokens;
    return ERR_OK;
}

size_t json_grammar_fault(const char *text, size_t len, unsigned max_depth)
{
    struct scan s = scan_init(text, len, max_depth);
    return scan_text(&s) ? len : (size_t)(s.p - text);
}
