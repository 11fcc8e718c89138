/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/peer_key.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

static uint64_t key_of(const char *text)
{
    struct sockaddr_storage a = {.ss_family = AF_INET};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(443)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1) {
        memcpy(&a, &four, sizeof four);
        return peer_key(&a);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    memcpy(&a, &six, sizeof six);
    return peer_key(&a);
}

static void test_who_counts_as_one(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {{"192.0.2.7", "192.0.2.7", true},
                {"192.0.2.7", "192.0.2.8", false},
                {"192.0.2.7", "::ffff:192.0.2.7", true},
                {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
                {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
                {"::1", "127.0.0.1", false},
                {"fe80::1", "fe80::2", true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((key_of(rows[i].a) == key_of(rows[i].b)) != rows[i].same)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
        assert_true(key_of(rows[i].a) != 0);
    }
}

static void test_what_has_no_address(void **state)
{
    const struct sockaddr_storage local = {.ss_family = AF_UNIX};
    (void)state;
    assert_int_equal(peer_key(&local), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_counts_as_one),
        cmocka_unit_test(test_what_has_no_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
