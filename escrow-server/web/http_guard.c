/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/http_guard.h"
#include <string.h>

enum state {
    METHOD = 0,
    TARGET,
    VERSION,
    LINE_END, /* the LF behind a CR */
    FIELD,    /* the first byte of a line */
    NAME,
    VALUE,
    HEAD_END, /* the LF behind the CR of an empty line */
    BODY,
    REFUSED
};

static const char *const methods[] = {"GET", "HEAD", "DELETE", "POST", "PUT"};
#define N_METHODS   (sizeof methods / sizeof methods[0])
#define FIRST_BODY  3 /* from here on they have one */
#define METHOD_MAX  8
#define VERSION_LEN 8

static const struct http_refusal bad_line = {400, "The request line is not one of HTTP/1.1."};
static const struct http_refusal bad_method = {405, "This method is not known here."};
static const struct http_refusal bad_target = {
    400, "The address does not begin with one slash, or has bytes that no address has."};
static const struct http_refusal long_target = {414, "The address is longer than 2048 bytes."};
static const struct http_refusal bad_field = {400, "A header field is not in the form of HTTP/1.1."};
static const struct http_refusal folded = {400, "A header field goes on in the next line."};
static const struct http_refusal long_head = {431, "The header is longer than 8 KiB."};
static const struct http_refusal many_fields = {431, "The header has more than 64 fields."};
static const struct http_refusal bad_length = {400, "Content-Length is not one plain number."};
static const struct http_refusal two_lengths = {400, "The length of the body is told more than once."};
static const struct http_refusal coded = {411,
                                          "A body comes with Content-Length, and without a transfer coding."};
static const struct http_refusal no_length = {411, "Content-Length is missing."};
static const struct http_refusal too_large = {413, "The body is larger than 1 MiB."};
static const struct http_refusal unwanted = {400, "This method has no body."};
static const struct http_refusal hosts = {400, "Exactly one Host is wanted."};
static const struct http_refusal expects = {417, "Only 100-continue can be expected."};

static bool is_token(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static char lower(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

void http_guard_init(struct http_guard *g)
{
    *g = (struct http_guard){.state = METHOD};
}

bool http_guard_is_amid(const struct http_guard *g)
{
    return g->state != METHOD || g->n_head > 0;
}

static bool name_is(const struct http_guard *g, const char *name)
{
    return g->n_name == strlen(name) && memcmp(g->name, name, g->n_name) == 0;
}

static const struct http_refusal *take_length(struct http_guard *g)
{
    uint32_t n = 0;
    if (g->has_length)
        return &two_lengths;
    g->has_length = true;
    if (g->n_value == 0)
        return &bad_length;
    for (unsigned i = 0; i < g->n_value; i++)
        if (i >= sizeof g->value || g->value[i] < '0' || g->value[i] > '9')
            return &bad_length;
    for (unsigned i = 0; i < g->n_value; i++) {
        n = n * 10 + (uint32_t)(g->value[i] - '0');
        if (n > HTTP_GUARD_BODY)
            return &too_large;
    }
    g->body = n;
    return NULL;
}

/* A whole field; white space at the value's end does not belong to it. */
static const struct http_refusal *end_field(struct http_guard *g)
{
    while (g->n_value > 0 && g->n_value <= sizeof g->value &&
           (g->value[g->n_value - 1] == ' ' || g->value[g->n_value - 1] == '\t'))
        g->n_value--;
    if (name_is(g, "content-length"))
        return take_length(g);
    if (name_is(g, "transfer-encoding"))
        g->has_coding = true;
    if (name_is(g, "host") && g->n_hosts < 2)
        g->n_hosts++;
    if (name_is(g, "expect") && (g->n_value != 12 || memcmp(g->value, "100-continue", 12) != 0))
        return &expects;
    return NULL;
}

static const struct http_refusal *end_head(struct http_guard *g)
{
    bool has_body = g->method >= FIRST_BODY;
    if (g->n_hosts > 1 || (g->n_hosts == 0 && !g->old))
        return &hosts;
    if (g->has_coding)
        return g->has_length ? &two_lengths : &coded;
    if (has_body && !g->has_length)
        return &no_length;
    if (!has_body && g->body > 0)
        return &unwanted;
    uint32_t body = g->body, size = body > 0 ? body + g->n_head : 0;
    *g = (struct http_guard){.state = body > 0 ? BODY : METHOD, .body = body, .size = size};
    return NULL;
}

static const struct http_refusal *in_method(struct http_guard *g, uint8_t c)
{
    if (c != ' ') {
        if (!is_token(c))
            return &bad_line;
        if (g->n_name == METHOD_MAX)
            return &bad_method;
        g->name[g->n_name++] = (char)c;
        return NULL;
    }
    for (g->method = 0; g->method < N_METHODS; g->method++)
        if (name_is(g, methods[g->method]))
            break;
    if (g->n_name == 0 || g->method == N_METHODS)
        return g->n_name == 0 ? &bad_line : &bad_method;
    g->state = TARGET;
    return NULL;
}

static const struct http_refusal *in_target(struct http_guard *g, uint8_t c)
{
    if (c == ' ' && g->n_target > 0) {
        g->state = VERSION;
        g->n_value = 0;
        return NULL;
    }
    /* behind two slashes a host would stand */
    bool starts_wrong = g->n_target < 2 && (c == '/') == (g->n_target == 1);
    if (starts_wrong || c <= ' ' || c >= 0x7f || c == '#')
        return &bad_target;
    return ++g->n_target > HTTP_GUARD_TARGET ? &long_target : NULL;
}

static const struct http_refusal *in_version(struct http_guard *g, uint8_t c)
{
    if (g->n_value < VERSION_LEN) {
        g->value[g->n_value++] = (char)c;
        return NULL;
    }
    g->old = memcmp(g->value, "HTTP/1.0", VERSION_LEN) == 0;
    if (c != '\r' || (!g->old && memcmp(g->value, "HTTP/1.1", VERSION_LEN) != 0))
        return &bad_line;
    g->state = LINE_END;
    return NULL;
}

static const struct http_refusal *in_field(struct http_guard *g, uint8_t c)
{
    if (c == '\r') {
        g->state = HEAD_END;
        return NULL;
    }
    if (c == ' ' || c == '\t')
        return &folded;
    if (!is_token(c))
        return &bad_field;
    if (++g->n_fields > HTTP_GUARD_FIELDS)
        return &many_fields;
    g->name[0] = lower(c);
    g->n_name = 1;
    g->n_value = 0;
    g->state = NAME;
    return NULL;
}

static const struct http_refusal *in_name(struct http_guard *g, uint8_t c)
{
    if (c == ':') {
        g->state = VALUE;
        return NULL;
    }
    if (!is_token(c))
        return &bad_field;
    if (g->n_name < sizeof g->name)
        g->name[g->n_name] = lower(c);
    g->n_name++; /* bounded by the head */
    return NULL;
}

static const struct http_refusal *in_value(struct http_guard *g, uint8_t c)
{
    if (c == '\r') {
        g->state = LINE_END;
        return end_field(g);
    }
    if ((c < ' ' && c != '\t') || c == 0x7f)
        return &bad_field;
    if (g->n_value == 0 && (c == ' ' || c == '\t'))
        return NULL;
    if (g->n_value < sizeof g->value)
        g->value[g->n_value] = lower(c);
    g->n_value++;
    return NULL;
}

static const struct http_refusal *in_head(struct http_guard *g, uint8_t c)
{
    if (++g->n_head > HTTP_GUARD_HEAD)
        return &long_head;
    switch ((enum state)g->state) {
    case METHOD:
        return in_method(g, c);
    case TARGET:
        return in_target(g, c);
    case VERSION:
        return in_version(g, c);
    case FIELD:
        return in_field(g, c);
    case NAME:
        return in_name(g, c);
    case VALUE:
        return in_value(g, c);
    case LINE_END:
        g->state = FIELD;
        return c == '\n' ? NULL : &bad_field;
    case HEAD_END:
        return c == '\n' ? end_head(g) : &bad_field;
    case BODY:
    case REFUSED:
        break;
    }
    return &bad_line;
}

const struct http_refusal *http_guard_feed(struct http_guard *g, const uint8_t *p, size_t len)
{
    const struct http_refusal *why = g->state == REFUSED ? &bad_line : NULL;
    while (len > 0 && why == NULL) {
        if (g->state == BODY) {
            size_t n = len < g->body ? len : g->body;
            g->body -= (uint32_t)n;
            p += n;
            len -= n;
            if (g->body == 0)
                http_guard_init(g);
            continue;
        }
        why = in_head(g, *p);
        p++;
        len--;
    }
    if (why != NULL)
        g->state = REFUSED;
    return why;
}
