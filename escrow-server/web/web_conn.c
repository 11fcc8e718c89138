/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web_conn.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/web/tls_hold.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/bufferevent_struct.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Was the last answer given that a draining worker waits for? */
static void owe(struct conn *c, bool owed)
{
    struct web *w = c->web;
    if (c->owed == owed)
        return;
    c->owed = owed;
    w->n_owed += owed ? 1 : -1u;
    web_drained(w);
}

static void free_conn(void *parent, void *p, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    struct conn *c = p;
    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    if (c == NULL)
        return;
    if (c->handshaking)
        metrics_add(METRIC_HANDSHAKES + 1, 1);
    web_conn_leave(c);
    web_peer_leave(c);
    web_body_release(c);
    metrics_set(METRIC_CONNECTIONS, --c->web->n_conns);
    owe(c, false);
    event_free(c->deadline);
    event_free(c->ahead);
    free(c);
}

static int conn_index(void)
{
    static int index = -1;
    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_conn);
    return index;
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    const struct conn *c = ctx;
    (void)fd, (void)what;
    evutil_socket_t s = bufferevent_getfd(c->bev);
    if (s >= 0)
        shutdown(s, SHUT_RDWR);
}

void web_conn_deadline(struct conn *c, long seconds)
{
    const struct timeval t = {.tv_sec = seconds};
    if (c->going)
        return;
    c->going = seconds == 0;
    event_add(c->deadline, &t);
}

/* Not by a watermark: with one libevent reads on when a connection is closed and its input thrown away. */
bool web_conn_surplus(struct conn *c)
{
    size_t most = c->may_come > WEB_STRANGER ? c->may_come : WEB_STRANGER;
    if (evbuffer_get_length(bufferevent_get_input(c->bev)) <= most)
        return false;
    bufferevent_disable(c->bev, EV_READ);
    return true;
}

/* In the handshake records are read ahead: a flight of four is one system call, not eight. What lies in the
 * TLS session then is nothing that libevent hears of: it waits for the socket, and SSL_pending() does not
 * count records that were not looked into. So, until they are used up, it is told to read. Not at once: this
 * is called from within. */
static void on_ahead(evutil_socket_t fd, short what, void *ctx)
{
    struct conn *c = ctx;
    bufferevent_event_cb owner;
    (void)fd, (void)what;
    bufferevent_getcb(c->bev, NULL, NULL, &owner, NULL);
    if (owner == NULL) /* evhttp has ended the connection */
        return;
    if (!c->met) { /* evhttp gives the socket after the connection was made */
        c->met = true;
        (void)tls_hold_put(bufferevent_openssl_get_ssl(c->bev)); /* without it a ticket goes alone */
        web_peer_enter(c);
        if (c->handshaking)
            return;
    }
    if (c->refused != NULL)
        web_refuse(c);
    else if (!web_conn_surplus(c) && (bufferevent_get_enabled(c->bev) & EV_READ) != 0)
        event_active(&c->bev->ev_read, EV_READ, 0);
}

void web_conn_read_ahead(struct conn *c)
{
    if (c->calls > 0) /* its end comes here again */
        return;
    if (c->refused != NULL || evbuffer_get_length(bufferevent_get_input(c->bev)) > WEB_STRANGER ||
        SSL_has_pending(bufferevent_openssl_get_ssl(c->bev)) == 1)
        event_active(c->ahead, EV_TIMEOUT, 0);
}

static void on_info(const SSL *ssl, int where, int ret)
{
    struct conn *c = SSL_get_ex_data(ssl, conn_index());
    (void)ret;
    if (c == NULL || (where & SSL_CB_HANDSHAKE_DONE) == 0 || !c->handshaking)
        return;
    SSL *own = bufferevent_openssl_get_ssl(c->bev);
    c->handshaking = false;
    web_conn_join(c, &c->web->idle);
    metrics_add(METRIC_HANDSHAKES, 1);
    web_conn_deadline(c, WEB_REQUEST_S);
    if (SSL_get_num_tickets(ssl) > 0 && SSL_has_pending(ssl) == 1) /* the ticket goes with the answer */
        tls_hold_next(own);
    SSL_set_read_ahead(own, 0);
    web_conn_read_ahead(c);
}

static struct conn *conn_new(struct web *w, SSL *ssl)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->web = w;
    c->deadline = evtimer_new(w->base, on_deadline, c);
    c->ahead = event_new(w->base, -1, 0, on_ahead, c);
    if (c->deadline == NULL || c->ahead == NULL || SSL_set_ex_data(ssl, conn_index(), c) != 1) {
        if (c->deadline != NULL)
            event_free(c->deadline);
        if (c->ahead != NULL)
            event_free(c->ahead);
        free(c);
        return NULL;
    }
    c->handshaking = true;
    web_conn_join(c, &w->handshakes);
    metrics_set(METRIC_CONNECTIONS, ++w->n_conns);
    owe(c, true);
    return c;
}

struct bufferevent *web_conn_new(struct event_base *base, void *web)
{
    struct web *w = web;
    SSL *ssl = SSL_new(w->tls);
    struct conn *c = ssl == NULL ? NULL : conn_new(w, ssl);
    if (c == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_info_callback(ssl, on_info);
    SSL_set_read_ahead(ssl, 1);
    c->bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (c->bev == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    if (!web_refuse_watch(c)) {
        bufferevent_free(c->bev);
        return NULL;
    }
    bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
    web_conn_deadline(c, WEB_HANDSHAKE_S);
    event_active(c->ahead, EV_TIMEOUT, 0);
    web_room_make(w);
    return c->bev;
}

static SSL *ssl_of(struct evhttp_connection *evcon)
{
    return bufferevent_openssl_get_ssl(evhttp_connection_get_bufferevent(evcon));
}

struct conn *web_conn_of(struct bufferevent *bev)
{
    return SSL_get_ex_data(bufferevent_openssl_get_ssl(bev), conn_index());
}

static struct conn *conn_of(struct evhttp_connection *evcon)
{
    return web_conn_of(evhttp_connection_get_bufferevent(evcon));
}

void web_conn_begins(struct evhttp_connection *evcon)
{
    struct conn *c = conn_of(evcon);
    if (c == NULL)
        return;
    c->calls = 1;
    if (c->held == 0)
        web_conn_leave(c);
    owe(c, true);
}

bool web_conn_is_last(struct evhttp_connection *evcon)
{
    const struct conn *c = conn_of(evcon);
    return c == NULL || c->web->stopping || c->refused != NULL;
}

/* evhttp ends it in a turn of its own, which must not wait for handshakes: the answer waits for it. */
void web_conn_ends(struct evhttp_connection *evcon)
{
    (void)bufferevent_priority_set(evhttp_connection_get_bufferevent(evcon), WEB_FIRST);
    tls_hold_last(ssl_of(evcon));
}

/* evhttp leaves head and body in two pieces, which would be a record and a packet each, for when the kernel
 * says that the socket takes them; it nearly always does. */
void web_conn_push(struct evhttp_connection *evcon)
{
    struct bufferevent *bev = evhttp_connection_get_bufferevent(evcon);
    struct evbuffer *out = bufferevent_get_output(bev);
    struct conn *c = web_conn_of(bev);
    if (c != NULL) /* evhttp reads while it writes, to hear of the end */
        (void)web_conn_surplus(c);
    if (evbuffer_get_length(out) <= SSL3_RT_MAX_PLAIN_LENGTH)
        (void)evbuffer_pullup(out, -1);
    event_active(&bev->ev_write, EV_WRITE, 0);
}

void web_conn_answered(struct evhttp_connection *evcon)
{
    struct conn *c = conn_of(evcon);
    if (c == NULL)
        return;
    c->calls = 0;
    web_body_release(c);
    web_conn_join(c, &c->web->idle);
    if (c->refused == NULL) /* the next one may have begun long ago */
        c->refused = web_body_admit(c);
    web_conn_deadline(c, WEB_REQUEST_S);
    owe(c, false);
    web_conn_read_ahead(c);
}

void web_peer_name(const struct sockaddr_storage *peer, char ret[static WEB_PEER_TEXT])
{
    socklen_t len = peer->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (getnameinfo((const struct sockaddr *)peer, len, ret, WEB_PEER_TEXT, NULL, 0, NI_NUMERICHOST) != 0)
        memcpy(ret, "-", 2);
}

enum err web_conn_courier(struct evhttp_connection *evcon, uint8_t ret_device[static 32],
                          uint8_t ret_key[static 32])
{
    return web_courier(ssl_of(evcon), ret_device, ret_key);
}

void web_conn_known(struct evhttp_connection *evcon)
{
    if (web_courier_known(ssl_of(evcon)) != ERR_OK)
        return; /* then it is judged when it matters */
}

bool web_conn_is_known(struct evhttp_connection *evcon)
{
    return web_courier_is_known(ssl_of(evcon));
}

bool web_conn_courier_due(struct evhttp_connection *evcon, uint8_t ret_spki[static 91])
{
    return web_courier_due(ssl_of(evcon), ret_spki);
}

enum err web_conn_certificate(struct evhttp_connection *evcon, uint8_t **ret, size_t *ret_len)
{
    uint8_t *der = NULL;
    const X509 *cert = SSL_get0_peer_certificate(ssl_of(evcon));
    int len = cert == NULL ? 0 : i2d_X509(cert, &der);
    if (len <= 0)
        return cert == NULL ? ERR_NOT_FOUND : ERR_NOMEM;
    *ret = der; /* OpenSSL's allocator is malloc here */
    *ret_len = (size_t)len;
    return ERR_OK;
}
