/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/tls_hold.h"
#include <errno.h>
#include <openssl/bio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HELD_MAX 256

struct hold {
    bool next;  /* the next write is kept */
    bool last;  /* the socket's end follows what is written */
    unsigned n; /* bytes that are kept */
    uint8_t bytes[HELD_MAX];
};

/* Both in one call. As write(2): how many of the second, -1: none, and BIO_should_retry() says whether later.
 */
static int write_both(BIO *b, struct hold *h, const char *p, int len)
{
    struct iovec both[] = {{h->bytes, h->n}, {(void *)(uintptr_t)p, (size_t)len}};
    const struct msghdr m = {.msg_iov = both, .msg_iovlen = 2};
    ssize_t n = sendmsg((int)BIO_get_fd(b, NULL), &m, h->last ? MSG_MORE : 0);
    if (n < 0 && BIO_sock_should_retry(-1))
        BIO_set_retry_write(b);
    if (n < 0)
        return -1;
    if (h->n > 0 && (size_t)n <= h->n) {
        h->n -= (unsigned)n;
        memmove(h->bytes, h->bytes + n, h->n);
        BIO_set_retry_write(b);
        return -1;
    }
    n -= h->n;
    h->n = 0;
    return (int)n;
}

static int hold_write(BIO *b, const char *p, int len)
{
    struct hold *h = BIO_get_data(b);
    bool keep = h->next && h->n == 0 && len > 0 && len <= HELD_MAX;
    BIO_clear_retry_flags(b);
    h->next = false; /* this was it */
    if (keep) {
        memcpy(h->bytes, p, (size_t)len);
        h->n = (unsigned)len;
        return len;
    }
    if (h->n > 0 || h->last)
        return write_both(b, h, p, len);
    int n = BIO_write(BIO_next(b), p, len);
    BIO_copy_next_retry(b);
    return n;
}

/* A flush is no next write. */
static long hold_ctrl(BIO *b, int what, long n, void *p)
{
    const struct hold *h = BIO_get_data(b);
    if (what == BIO_CTRL_FLUSH && h->n > 0)
        return 1;
    return BIO_ctrl(BIO_next(b), what, n, p);
}

static int hold_free(BIO *b)
{
    free(BIO_get_data(b));
    return 1;
}

static int type; /* of these BIOs; 0: there was none yet. Of this process, which has one thread */

/* NULL: no memory */
static const BIO_METHOD *method(void)
{
    static BIO_METHOD *m;
    if (m != NULL)
        return m;
    int made_type = BIO_get_new_index() | BIO_TYPE_FILTER;
    BIO_METHOD *made = BIO_meth_new(made_type, "hold");
    if (made == NULL || BIO_meth_set_write(made, hold_write) != 1 ||
        BIO_meth_set_ctrl(made, hold_ctrl) != 1 || BIO_meth_set_destroy(made, hold_free) != 1) {
        BIO_meth_free(made);
        return NULL;
    }
    type = made_type;
    m = made;
    return m;
}

enum err tls_hold_put(SSL *ssl)
{
    const BIO_METHOD *m = method();
    BIO *socket = SSL_get_wbio(ssl), *b = m == NULL ? NULL : BIO_new(m);
    struct hold *h = b == NULL ? NULL : calloc(1, sizeof *h);
    if (h == NULL || BIO_up_ref(socket) != 1) {
        free(h);
        BIO_free(b);
        return ERR_NOMEM;
    }
    BIO_set_data(b, h);
    SSL_set0_wbio(ssl, BIO_push(b, socket));
    return ERR_OK;
}

/* NULL: tls_hold_put() was not called, or had no memory */
static struct hold *hold_of(SSL *ssl)
{
    BIO *b = SSL_get_wbio(ssl);
    return type == 0 || BIO_method_type(b) != type ? NULL : BIO_get_data(b);
}

void tls_hold_next(SSL *ssl)
{
    struct hold *h = hold_of(ssl);
    if (h != NULL)
        h->next = true;
}

void tls_hold_last(SSL *ssl)
{
    struct hold *h = hold_of(ssl);
    if (h != NULL)
        h->last = true;
}
