/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is no strict HTTP never reaches evhttp: it is answered here, and the connection ends. */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web_conn.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>

#define ANSWER_MAX 640
#define LINGER_S   2 /* for the client to read its answer: a reset would take it away */

static void ignore(struct bufferevent *bev)
{
    struct evbuffer *in = bufferevent_get_input(bev);
    evbuffer_drain(in, evbuffer_get_length(in));
}

/* Give the connection back to evhttp, and let it hear that it is over. */
static void on_over(struct bufferevent *bev, short what, void *ctx)
{
    struct conn *c = ctx;
    (void)what;
    ignore(bev);
    bufferevent_setcb(bev, c->evhttp.read, c->evhttp.write, c->evhttp.event, c->evhttp.ctx);
    c->evhttp.event(bev, BEV_EVENT_READING | BEV_EVENT_EOF, c->evhttp.ctx);
}

static void on_written(struct bufferevent *bev, void *ctx)
{
    struct conn *c = ctx;
    if (!c->answering || c->over)
        return;
    c->over = true;
    SSL_shutdown(bufferevent_openssl_get_ssl(bev));
    shutdown(bufferevent_getfd(bev), SHUT_WR);
    web_conn_deadline(c, LINGER_S);
}

/* Returns its bytes. */
static size_t write_answer(const struct http_refusal *why, char ret[static ANSWER_MAX])
{
    char body[256], again[32] = "";
    if (why->status == 503)
        snprintf(again, sizeof again, "Retry-After: %u\r\n", web_shed_retry_s(true));
    int len = snprintf(body, sizeof body,
                       "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":\"%s\"}",
                       web_title(why->status), why->status, why->sentence);
    int n = snprintf(ret, ANSWER_MAX,
                     "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
                     "Cache-Control: no-store\r\n%s%sConnection: close\r\n\r\n%s",
                     why->status, web_title(why->status), len,
                     why->status == 405 ? "Allow: GET, POST\r\n" : "", again, body);
    return n > 0 && n < ANSWER_MAX ? (size_t)n : 0;
}

static void answer(struct bufferevent *bev, const struct conn *c)
{
    char text[ANSWER_MAX];
    evbuffer_add(bufferevent_get_output(bev), text, write_answer(c->refused, text));
}

static void log_refusal(const struct conn *c, struct bufferevent *bev)
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    char name[WEB_PEER_TEXT];
    metrics_request(ROUTE_OTHER, c->refused->status);
    if (getpeername(bufferevent_getfd(bev), (struct sockaddr *)&peer, &len) != 0)
        return;
    web_peer_name(&peer, name);
    if (metrics_may_log(name, strlen(name)))
        slog(SLOG_WARN, "http", "status=%d peer=%s detail=\"%s\"", c->refused->status, name,
             c->refused->sentence);
}

/* evhttp, which reads on "later", calls whoever is its reader by then, with what it takes for its own. */
static void on_input(struct bufferevent *bev, void *not_ours)
{
    struct conn *c = web_conn_of(bev);
    (void)not_ours;
    ignore(bev);
    if (c->answering)
        return;
    c->answering = true;
    bufferevent_enable(bev, EV_READ | EV_WRITE); /* evhttp writes only while it answers */
    log_refusal(c, bev);
    answer(bev, c);
}

static void take_place(struct conn *c)
{
    bufferevent_getcb(c->bev, &c->evhttp.read, &c->evhttp.write, &c->evhttp.event, &c->evhttp.ctx);
    bufferevent_setcb(c->bev, on_input, on_written, on_over, c);
}

/* Before evhttp sees the bytes that were added. Taking its place here, its own reader is not called for them.
 */
static void on_added(struct evbuffer *in, const struct evbuffer_cb_info *info, void *ctx)
{
    struct conn *c = ctx;
    struct evbuffer_ptr at;
    struct evbuffer_iovec piece[4];
    if (info->n_added == 0)
        return;
    web_conn_read_ahead(c);
    if (c->refused != NULL)
        return;
    size_t from = evbuffer_get_length(in) - info->n_added, left = info->n_added;
    while (left > 0 && c->refused == NULL) {
        if (evbuffer_ptr_set(in, &at, from, EVBUFFER_PTR_SET) != 0)
            return;
        int n = evbuffer_peek(in, (ev_ssize_t)left, &at, piece, 4);
        for (int i = 0; i < n && i < 4 && left > 0; i++) {
            size_t len = piece[i].iov_len < left ? piece[i].iov_len : left;
            if (c->refused == NULL)
                c->refused = http_guard_feed(&c->guard, piece[i].iov_base, len);
            from += len;
            left -= len;
        }
        if (n <= 0)
            return;
    }
    if (c->refused == NULL)
        c->refused = web_body_admit(c);
    web_conn_surplus(c);
    if (c->refused == NULL || c->calls > 0) /* an answer is on its way, and first */
        return;
    take_place(c);
}

void web_refuse(struct conn *c)
{
    if (c->answering)
        return;
    take_place(c);
    on_input(c->bev, NULL);
}

/* Not through evhttp, which would keep what has come until the client has read its answer. */
void web_refuse_now(struct conn *c, const struct http_refusal *why)
{
    char text[ANSWER_MAX];
    SSL *ssl = bufferevent_openssl_get_ssl(c->bev);
    if (c->answering)
        return;
    c->refused = why;
    c->answering = c->over = true;
    take_place(c);
    log_refusal(c, c->bev);
    bufferevent_enable(c->bev, EV_READ); /* to hear of its end */
    if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0 &&
        SSL_write(ssl, text, (int)write_answer(why, text)) > 0)
        (void)SSL_shutdown(ssl);
    ERR_clear_error();
    web_conn_deadline(c, 0);
}

bool web_refuse_watch(struct conn *c)
{
    http_guard_init(&c->guard);
    return evbuffer_add_cb(bufferevent_get_input(c->bev), on_added, c) != NULL;
}
