/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/address.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>

static void test_addresses(void **state)
{
    static const struct {
        const char *text;
        bool good, at_zero; /* at_zero: also where a free port may be taken */
    } rows[] = {
        {"127.0.0.1:8443", true, true},
        {"[::1]:8443", true, true},
        {"0.0.0.0:1", true, true},
        {"[::]:65535", true, true},
        {"127.0.0.1:0", false, true},
        {"127.0.0.1:65536", false, false},
        {"[::1]:99999", false, false},
        {"127.0.0.1:-1", false, false},
        {"127.0.0.1:+1", false, false},
        {"127.0.0.1: 1", false, false},
        {"127.0.0.1:", false, false},
        {"127.0.0.1", false, false},
        {"localhost:8443", false, false},
        {":8443", false, false},
        {"", false, false},
        {"127.0.0.1:http", false, false},
        {"[]:1", false, false},
        {"127.0.0.1:4295000739", false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addrinfo *info = NULL;
        bool zero = address_parse(rows[i].text, SOCK_DGRAM, 0, &info) == ERR_OK;
        if (zero)
            freeaddrinfo(info);
        if (address_is_good(rows[i].text) != rows[i].good || zero != rows[i].at_zero)
            fail_msg("\"%s\"", rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
