/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/load_conn.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

double load_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum err start(struct load_conn *c, const struct load_plan *p)
{
    const int one = 1;
    c->fd = socket(p->to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return ERR_IO;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (const struct sockaddr *)&p->to, p->to_len) != 0 && errno != EINPROGRESS)
        return ERR_IO;
    c->ssl = SSL_new(c->device->tls);
    if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
        return ERR_NOMEM;
    SSL_set_connect_state(c->ssl);
    SSL_set_mode(c->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (p->handshake == LOAD_RESUMED && c->device->session != NULL)
        SSL_set_session(c->ssl, c->device->session);
    return ERR_OK;
}

enum err load_conn_open(struct load_conn *c, const struct load_plan *p)
{
    c->since = load_now();
    c->sent = c->got = 0;
    c->shaken = c->resumed = false;
    c->waits = EPOLLOUT;
    c->kept = p->handshake == LOAD_KEPT && p->kind != LOAD_STATIC;
    enum err e = start(c, p);
    if (e != ERR_OK)
        load_conn_close(c);
    return e;
}

/* What a call of OpenSSL that did not succeed means. */
static enum err wait_or_fail(struct load_conn *c, int code, enum load_failure otherwise,
                             enum load_failure *ret)
{
    int why = SSL_get_error(c->ssl, code);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        c->waits = why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
        return ERR_BUSY;
    }
    ERR_clear_error();
    *ret = otherwise;
    return ERR_OK;
}

static bool connected(const struct load_conn *c)
{
    int problem = 0;
    socklen_t len = sizeof problem;
    return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &len) == 0 && problem == 0;
}

static enum err receive(struct load_conn *c, enum load_failure *ret)
{
    for (;;) {
        int status = 0, n = SSL_read(c->ssl, c->in + c->got, (int)(LOAD_ANSWER_MAX - c->got));
        const char *body;
        size_t len;
        if (n <= 0)
            return wait_or_fail(c, n, LOAD_CLOSED, ret);
        c->got += (size_t)n;
        c->in[c->got] = '\0';
        enum err e = load_answer(c->in, c->got, &status, &body, &len);
        if (e == ERR_NOT_FOUND && c->got < LOAD_ANSWER_MAX)
            continue;
        *ret = e == ERR_OK && status == 200 ? LOAD_OK : LOAD_STATUS;
        return ERR_OK;
    }
}

/* A connection is for one sync, unless it says otherwise. */
static int send_request(struct load_conn *c)
{
    static const char says[] = "Connection: keep-alive\r\n";
    const struct load_request *r = c->request;
    const uint8_t *first = memchr(r->bytes, '\n', r->len);
    if (!c->kept || first == NULL)
        return SSL_write(c->ssl, r->bytes, (int)r->len);
    size_t head = (size_t)(first + 1 - r->bytes);
    uint8_t *bytes = malloc(r->len + sizeof says);
    if (bytes == NULL)
        return -1;
    memcpy(bytes, r->bytes, head);
    memcpy(bytes + head, says, sizeof says - 1);
    memcpy(bytes + head + sizeof says - 1, r->bytes + head, r->len - head);
    int n = SSL_write(c->ssl, bytes, (int)(r->len + sizeof says - 1));
    free(bytes);
    return n;
}

enum err load_conn_step(struct load_conn *c, enum load_failure *ret)
{
    ERR_clear_error();
    if (!c->shaken) {
        if (!connected(c)) {
            *ret = LOAD_CONNECT;
            return ERR_OK;
        }
        int n = SSL_do_handshake(c->ssl);
        if (n != 1)
            return wait_or_fail(c, n, LOAD_TLS, ret);
        c->shaken = true;
        c->resumed = SSL_session_reused(c->ssl) == 1;
    }
    *ret = LOAD_OK;
    if (c->request == NULL)
        return ERR_OK;
    if (c->sent == 0) {
        int n = send_request(c);
        if (n <= 0)
            return wait_or_fail(c, n, LOAD_CLOSED, ret);
        c->sent = c->request->len;
    }
    return receive(c, ret);
}

void load_conn_close(struct load_conn *c)
{
    if (c->ssl != NULL && c->shaken)
        SSL_shutdown(c->ssl); /* or OpenSSL takes the session for a bad one */
    ERR_clear_error();
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}
