/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whose request may be large. Anybody can shake hands, with a certificate of his own making, too; so of a
 * request with more than WEB_STRANGER bytes nothing is taken in before its sender is known, and all that
 * large ones of known devices take together is bounded. They hold room as they arrive, not as they announce
 * themselves; when there is none left, whoever moves too slowly makes way for those that move. */
#include "crypto/host/monotonic.h"
#include "escrow-server/web/web_call.h"
#include "escrow-server/web/web_conn.h"
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct http_refusal refused_stranger = {
    413, "From a sender that is not known as a device of this organisation a request has at most 8 KiB."};
static const struct http_refusal refused_revoked = {403, "This device was revoked."};
static const struct http_refusal refused_slow = {
    503, "Others wait for the room that this request holds, and it comes too slowly; come back later."};
static const struct http_refusal refused_full = {503, "The server has too much to do now; come back later."};

/* A device has one large request under way: who begins another has given the one before up. */
static void give_up_others(const struct conn *c)
{
    for (struct conn *o = c->web->large.oldest; o != NULL; o = o->newer)
        if (o != c && memcmp(o->device, c->device, sizeof c->device) == 0)
            web_conn_deadline(o, 0);
}

static const struct http_refusal *judge(struct conn *c)
{
    uint8_t key[32];
    SSL *ssl = bufferevent_openssl_get_ssl(c->bev);
    enum err e = web_courier_judge(ssl, c->web->child.org.ca);
    if (e == ERR_BUSY || e == ERR_NOMEM)
        return &refused_full;
    if (e != ERR_OK || web_courier(ssl, c->device, key) != ERR_OK)
        return &refused_stranger;
    if (web_revoked(c->web, c->device))
        return &refused_revoked;
    give_up_others(c);
    return NULL;
}

/* What came carries it on, but never ahead of the clock: nobody earns a rest by having been quick. */
static void move(struct conn *c, size_t more)
{
    int64_t now = monotonic_ms(), moved = c->moved_ms + (int64_t)(more / WEB_LARGE_PER_MS);
    c->moved_ms = c->held == 0 || moved > now ? now : moved;
}

/* Of those that still come, the one furthest behind, if any is. */
static struct conn *slowest(const struct web *w)
{
    int64_t behind = monotonic_ms() - WEB_LARGE_BEHIND_MS;
    struct conn *found = NULL;
    for (struct conn *o = w->large.oldest; o != NULL; o = o->newer)
        if (o->held > 0 && o->calls == 0 && o->moved_ms <= behind) {
            found = o;
            behind = o->moved_ms - 1;
        }
    return found;
}

/* NULL: there is room for so many bytes of this one, whoever went for it. */
static const struct http_refusal *make_room(const struct conn *c, size_t more)
{
    struct web *w = c->web;
    while (w->n_held + more > WEB_LARGE) {
        struct conn *o = slowest(w);
        if (o == NULL || o == c)
            return o == NULL ? &refused_full : &refused_slow;
        web_body_release(o);
        web_refuse_now(o, &refused_slow);
    }
    return NULL;
}

/* NULL: it may take so many bytes */
static const struct http_refusal *hold(struct conn *c, size_t size)
{
    struct web *w = c->web;
    const struct http_refusal *why = c->held > 0 ? NULL : judge(c);
    size_t more = size > c->held ? size - c->held : 0;
    if (why == NULL)
        move(c, more);
    if (why == NULL)
        why = make_room(c, more);
    if (why != NULL)
        return why;
    if (c->held == 0)
        web_conn_join(c, &w->large);
    c->held += more;
    w->n_held += more;
    return NULL;
}

const struct http_refusal *web_body_admit(struct conn *c)
{
    if (c->guard.size <= WEB_STRANGER)
        return NULL;
    const struct http_refusal *why = hold(c, c->guard.size - c->guard.body);
    if (why == NULL)
        c->may_come = c->guard.size;
    return why;
}

void web_body_release(struct conn *c)
{
    c->web->n_held -= c->held;
    c->held = 0;
    c->may_come = 0;
}

/* Inflated it may be large, too; known devices' are inflated once. */
static enum err inflate_body(struct call *c, struct conn *conn, struct evbuffer *in, size_t max,
                             const struct http_refusal **ret_why)
{
    size_t len = evbuffer_get_length(in);
    const uint8_t *p = evbuffer_pullup(in, -1);
    if (p == NULL)
        return ERR_FORMAT;
    enum err e = web_inflate(p, len, max, &c->body, &c->body_len);
    if (e != ERR_RANGE || max == WEB_BODY_MAX)
        return e;
    *ret_why = judge(conn);
    return *ret_why != NULL ? ERR_DENIED : web_inflate(p, len, WEB_BODY_MAX, &c->body, &c->body_len);
}

static enum err copy_body(struct call *c, struct evbuffer *in)
{
    size_t len = evbuffer_get_length(in);
    if (len > WEB_BODY_MAX)
        return ERR_RANGE;
    c->body = malloc(len + 1);
    if (c->body == NULL)
        return ERR_NOMEM;
    if (len > 0 && evbuffer_remove(in, c->body, len) != (int)len)
        return ERR_INTERNAL;
    c->body[len] = 0;
    c->body_len = len;
    return ERR_OK;
}

static enum err read_body(struct call *c, struct conn *conn, const struct http_refusal **ret_why)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
    const char *coding = evhttp_find_header(evhttp_request_get_input_headers(c->req), "Content-Encoding");
    if (coding == NULL || strcasecmp(coding, "identity") == 0)
        return copy_body(c, in);
    if (strcasecmp(coding, "gzip") != 0)
        return ERR_UNSUPPORTED;
    enum err e = inflate_body(c, conn, in, conn->held > 0 ? WEB_BODY_MAX : WEB_STRANGER, ret_why);
    evbuffer_drain(in, evbuffer_get_length(in));
    return e;
}

static void refuse(struct call *c, const struct http_refusal *why)
{
    call_problem(c, why->status, why->status == 503 ? web_shed_retry_s(true) : 0, why->sentence);
}

bool web_body_take(struct call *c)
{
    const struct http_refusal *why = NULL;
    struct conn *conn = web_conn_of(evhttp_connection_get_bufferevent(evhttp_request_get_connection(c->req)));
    enum err e = read_body(c, conn, &why);
    /* as it is here, and once more in its parts */
    if (e == ERR_OK && c->body_len > WEB_STRANGER)
        why = hold(conn, 2 * c->body_len);
    if (why != NULL)
        refuse(c, why);
    else if (e == ERR_RANGE)
        call_problem(c, 413, 0, "The body is larger than 1 MiB.");
    else if (e == ERR_UNSUPPORTED)
        call_problem(c, 415, 0, "Only gzip is understood as Content-Encoding.");
    else if (e != ERR_OK)
        call_problem(c, 400, 0, "The body cannot be read.");
    return e == ERR_OK && why == NULL;
}
