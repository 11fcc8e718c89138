/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What passes the guard has one meaning for every reader of HTTP; everything that smuggles requests does not.
 */
#include "escrow-server/web/http_guard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define POST "POST /v1/sync HTTP/1.1\r\nHost: a\r\n"

static const struct {
    const char *name, *bytes;
    int status; /* 0: passes */
} rows[] = {
    {"plain", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"two in a row", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
    {"with a body", POST "Content-Length: 3\r\n\r\nabc", 0},
    {"a body, then another request", POST "Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: b\r\n\r\n", 0},
    {"white space around values", POST "Content-Length: \t 3 \t\r\nX: \xc3\xa4 b\r\n\r\nabc", 0},
    {"100-continue", POST "Expect: 100-Continue\r\nContent-Length: 0\r\n\r\n", 0},
    {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0},
    {"an empty value", "GET / HTTP/1.1\r\nHost:\r\nX:\r\n\r\n", 0},
    {"length and coding", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"coding and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
    {"coding alone", POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
    {"a coding that is none", POST "Transfer-Encoding: identity\r\n\r\n", 411},
    {"a coding in disguise", POST "Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\n\r\n", 400},
    {"coding with a chunk extension", POST "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\n", 411},
    {"a GET with a coding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411},
    {"two lengths", POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
    {"the same length twice", POST "Content-Length: 3\r\ncontent-length: 3\r\n\r\n", 400},
    {"a list of lengths", POST "Content-Length: 3, 3\r\n\r\n", 400},
    {"a signed length", POST "Content-Length: +3\r\n\r\n", 400},
    {"a negative length", POST "Content-Length: -3\r\n\r\n", 400},
    {"a length in hexadecimal", POST "Content-Length: 0x3\r\n\r\n", 400},
    {"an empty length", POST "Content-Length: \r\n\r\n", 400},
    {"a length with blanks inside", POST "Content-Length: 1 3\r\n\r\n", 400},
    {"a length beyond 64 bits", POST "Content-Length: 18446744073709551619\r\n\r\n", 413},
    {"a length of many zeros", POST "Content-Length: 0000000000000000000000000000000000003\r\n\r\n", 400},
    {"too long a body", POST "Content-Length: 1048577\r\n\r\n", 413},
    {"the longest body", POST "Content-Length: 1048576\r\n\r\n", 0},
    {"no length", POST "\r\n", 411},
    {"a GET with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 400},
    {"folded", POST "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 400},
    {"folded by a tab", POST "X: a\r\n\tb\r\nContent-Length: 0\r\n\r\n", 400},
    {"folded at once", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
    {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
    {"bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
    {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
    {"bare CR", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400},
    {"a CR too many", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400},
    {"blank before the colon", POST "Content-Length : 3\r\n\r\n", 400},
    {"no name", "GET / HTTP/1.1\r\n: a\r\n\r\n", 400},
    {"no colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", 400},
    {"a name with bytes that are no token", POST "Content\x00-Length: 3\r\n\r\n", 400},
    {"a name in quotes", POST "\"Content-Length\": 3\r\n\r\n", 400},
    {"a control character", "GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n", 400},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400},
    {"another expectation", POST "Expect: 200-ok\r\nContent-Length: 0\r\n\r\n", 417},
    {"an unknown method", "BREW / HTTP/1.1\r\n", 405},
    {"a long method", "PROPFINDX / HTTP/1.1\r\n", 405},
    {"a method in small letters", "get / HTTP/1.1\r\n", 405},
    {"CONNECT", "CONNECT a:443 HTTP/1.1\r\n", 405},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 405},
    {"a later version", "GET / HTTP/1.2\r\n", 400},
    {"HTTP/0.9", "GET /\r\n", 400},
    {"two blanks", "GET  / HTTP/1.1\r\n", 400},
    {"a blank behind the version", "GET / HTTP/1.1 \r\n", 400},
    {"a blank in front", " GET / HTTP/1.1\r\n", 400},
    {"an empty line in front", "\r\nGET / HTTP/1.1\r\n", 400},
    {"an absolute address", "GET http://a/ HTTP/1.1\r\n", 400},
    {"an address with a host", "GET //a:b/ HTTP/1.1\r\n", 400},
    {"an asterisk", "GET * HTTP/1.1\r\n", 400},
    {"a fragment", "GET /a#b HTTP/1.1\r\n", 400},
    {"an address with high bytes", "GET /\xff HTTP/1.1\r\n", 400},
    {"TLS", "\x16\x03\x01", 400},
};

static int status_of(const char *bytes, size_t len, size_t piece)
{
    struct http_guard g;
    const struct http_refusal *why = NULL;
    http_guard_init(&g);
    for (size_t at = 0; at < len && why == NULL; at += piece)
        why = http_guard_feed(&g, (const uint8_t *)bytes + at, len - at < piece ? len - at : piece);
    return why == NULL ? 0 : why->status;
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = strlen(rows[i].bytes);
        if (strstr(rows[i].name, "no token") != NULL)
            len = sizeof(POST "Content\x00-Length: 3\r\n\r\n") - 1;
        const size_t pieces[] = {1, 7, len};
        for (size_t k = 0; k < 3; k++) {
            size_t piece = pieces[k];
            int got = status_of(rows[i].bytes, len, piece);
            if (got != rows[i].status)
                fail_msg("%s, in pieces of %zu: %d, not %d", rows[i].name, piece, got, rows[i].status);
        }
    }
}

static void test_bounds(void **state)
{
    static char text[HTTP_GUARD_HEAD + 64];
    struct http_guard g;
    (void)state;
    int n = snprintf(text, sizeof text, "GET /");
    memset(text + n, 'a', HTTP_GUARD_TARGET);
    assert_int_equal(status_of(text, (size_t)n + HTTP_GUARD_TARGET - 1, 100), 0);
    assert_int_equal(status_of(text, (size_t)n + HTTP_GUARD_TARGET, 100), 414);
    n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    memset(text + n, 'a', sizeof text - (size_t)n);
    assert_int_equal(status_of(text, HTTP_GUARD_HEAD, 1000), 0);
    assert_int_equal(status_of(text, HTTP_GUARD_HEAD + 1, 1000), 431);
    n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 1; i < HTTP_GUARD_FIELDS; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "a: b\r\n");
    assert_int_equal(status_of(text, (size_t)n, 1000), 0);
    n += snprintf(text + n, sizeof text - (size_t)n, "a: b\r\n");
    assert_int_equal(status_of(text, (size_t)n, 1000), 431);
    http_guard_init(&g);
    assert_false(http_guard_is_amid(&g));
    assert_null(http_guard_feed(&g, (const uint8_t *)"G", 1));
    assert_true(http_guard_is_amid(&g));
    assert_non_null(http_guard_feed(&g, (const uint8_t *)"\n", 1));
    assert_non_null(
        http_guard_feed(&g, (const uint8_t *)"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27)); /* for ever */
}

/* How large a request is, head and body, is told while its body comes, and not before or behind. */
static void test_size(void **state)
{
    static const char head[] = POST "Content-Length: 3\r\n\r\n", rest[] = "abc";
    struct http_guard g;
    (void)state;
    http_guard_init(&g);
    for (size_t i = 0; i < sizeof head - 1; i++) {
        assert_int_equal(g.size, 0);
        assert_null(http_guard_feed(&g, (const uint8_t *)head + i, 1));
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(g.size, sizeof head - 1 + 3);
        assert_null(http_guard_feed(&g, (const uint8_t *)rest + i, 1));
    }
    assert_int_equal(g.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
