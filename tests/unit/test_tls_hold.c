/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/tls_hold.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

struct fixture {
    SSL_CTX *ctx;
    SSL *ssl;
    int far; /* what the peer reads */
};

static int setup(void **state)
{
    static struct fixture f;
    int pair[2];
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    f.ctx = SSL_CTX_new(TLS_server_method());
    f.ssl = SSL_new(f.ctx);
    f.far = pair[1];
    BIO *b = BIO_new_socket(pair[0], BIO_CLOSE);
    SSL_set_bio(f.ssl, b, b);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    SSL_free(f->ssl);
    SSL_CTX_free(f->ctx);
    close(f->far);
    return 0;
}

static int near(struct fixture *f, const char *text)
{
    return BIO_write(SSL_get_wbio(f->ssl), text, (int)strlen(text));
}

/* What has come, in one read. */
static const char *come(struct fixture *f)
{
    static char text[4096];
    ssize_t n = read(f->far, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static void test_goes_with_the_next(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ERR_OK, tls_hold_put(f->ssl));
    assert_int_equal(5, near(f, "hello"));
    assert_string_equal("hello", come(f));
    tls_hold_next(f->ssl);
    assert_int_equal(6, near(f, "ticket"));
    assert_int_equal(1, BIO_flush(SSL_get_wbio(f->ssl)));
    assert_string_equal("", come(f));
    assert_int_equal(7, near(f, " answer"));
    assert_string_equal("ticket answer", come(f));
    assert_int_equal(4, near(f, "more"));
    assert_string_equal("more", come(f));
}

static void test_only_what_is_small(void **state)
{
    struct fixture *f = *state;
    char text[258];
    memset(text, 'x', 257);
    text[257] = '\0';
    assert_int_equal(ERR_OK, tls_hold_put(f->ssl));
    tls_hold_next(f->ssl);
    assert_int_equal(257, near(f, text));
    assert_string_equal(text, come(f));
    assert_int_equal(1, near(f, "!"));
    assert_string_equal("!", come(f)); /* the next one was that */
    tls_hold_next(f->ssl);
    assert_int_equal(256, near(f, text + 1));
    tls_hold_next(f->ssl); /* one at a time */
    assert_string_equal("", come(f));
    assert_int_equal(1, near(f, "!"));
    assert_int_equal(257, strlen(come(f)));
}

/* Nothing is lost, doubled or out of order, whatever the socket takes. */
static void test_full_socket(void **state)
{
    struct fixture *f = *state;
    static char filler[1 << 16];
    size_t before = 0, after = 0;
    int fd = SSL_get_wfd(f->ssl), n, small = 4096;
    ssize_t got;
    memset(filler, 'f', sizeof filler);
    assert_int_equal(0, setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
    assert_int_equal(ERR_OK, tls_hold_put(f->ssl));
    BIO *b = SSL_get_wbio(f->ssl);
    while ((n = BIO_write(b, filler, sizeof filler)) > 0)
        before += (size_t)n;
    assert_true(BIO_should_retry(b));
    tls_hold_next(f->ssl);
    assert_int_equal(6, near(f, "ticket"));
    assert_int_equal(-1, near(f, "answer"));
    assert_true(BIO_should_retry(b));
    char all[4096], tail[13] = "";
    bool sent = false;
    while ((got = read(f->far, all, sizeof all)) > 0) {
        after += (size_t)got;
        for (ssize_t i = 0; i < got; i++)
            if (all[i] != 'f')
                strncat(tail, &all[i], strlen(tail) < 12 ? 1 : 0);
        if (!sent && (n = near(f, "answer")) > 0) {
            assert_int_equal(6, n);
            sent = true;
        } else if (!sent) {
            assert_true(BIO_should_retry(b));
        }
    }
    assert_true(sent);
    assert_string_equal("ticketanswer", tail);
    assert_int_equal(before + 12, after);
}

/* A connection of TCP's on loopback in the fixture's place. */
static void over_tcp(struct fixture *f)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof to;
    int listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(0, bind(listener, (struct sockaddr *)&to, sizeof to));
    assert_int_equal(0, listen(listener, 1));
    assert_int_equal(0, getsockname(listener, (struct sockaddr *)&to, &len));
    assert_int_equal(0, connect(near, (struct sockaddr *)&to, sizeof to));
    close(f->far);
    f->far = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(f->far >= 0);
    close(listener);
    BIO *b = BIO_new_socket(near, BIO_CLOSE);
    SSL_set_bio(f->ssl, b, b);
}

/* Is what was written last still in the kernel, and does the end bring it? Loopback delivers at once; only if
 * the test itself rests for 0.2 s between two calls, the kernel goes ahead. */
static bool waits_for_the_end(struct fixture *f, bool last, const char *ticket)
{
    over_tcp(f);
    assert_int_equal(ERR_OK, tls_hold_put(f->ssl));
    if (ticket[0] != '\0') {
        tls_hold_next(f->ssl);
        assert_int_equal(strlen(ticket), near(f, ticket));
    }
    if (last)
        tls_hold_last(f->ssl);
    assert_int_equal(6, near(f, "answer"));
    char text[64] = "", *end = stpcpy(text, come(f));
    bool waits = end == text;
    assert_int_equal(0, shutdown(SSL_get_wfd(f->ssl), SHUT_WR));
    stpcpy(end, come(f));
    assert_int_equal(0, strncmp(text, ticket, strlen(ticket)));
    assert_string_equal("answer", text + strlen(ticket));
    return waits;
}

static void test_the_last_goes_with_the_end(void **state)
{
    static const char *const tickets[] = {"", "ticket "};
    for (unsigned i = 0; i < 2; i++) {
        unsigned waited = 0;
        for (unsigned n = 0; n < 10 && waited == 0; n++)
            waited += waits_for_the_end(*state, true, tickets[i]);
        assert_int_equal(1, waited);
        assert_false(waits_for_the_end(*state, false, tickets[i]));
    }
}

static void test_closed_socket(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ERR_OK, tls_hold_put(f->ssl));
    tls_hold_next(f->ssl);
    assert_int_equal(6, near(f, "ticket"));
    shutdown(SSL_get_wfd(f->ssl), SHUT_WR);
    assert_int_equal(-1, near(f, "answer"));
    assert_false(BIO_should_retry(SSL_get_wbio(f->ssl)));
}

/* tls_hold_next() where nothing was put */
static void test_without(void **state)
{
    struct fixture *f = *state;
    tls_hold_next(f->ssl);
    assert_int_equal(6, near(f, "ticket"));
    assert_string_equal("ticket", come(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_with_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_what_is_small, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_last_goes_with_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_socket, setup, teardown),
    };
    signal(SIGPIPE, SIG_IGN); /* as in every process of the server */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
