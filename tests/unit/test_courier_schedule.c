/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka.h needs the three above it */
#include <cmocka.h>

#define NOW 1000000
#define S   1000

static const uint32_t chances[] = {0, 1u << 31, UINT32_MAX};

static void within(const char *row, int64_t due, int64_t least_s, int64_t most_s)
{
    if (due < NOW + least_s * S || due > NOW + most_s * S)
        fail_msg("%s: due in %lld ms, wanted %lld to %lld s", row, (long long)(due - NOW), (long long)least_s,
                 (long long)most_s);
}

static void done(void **state)
{
    static const struct {
        const char *row;
        uint64_t retry_after_s;
        int64_t least_s, most_s;
    } rows[] = {
        {"the server does not say: 90 minutes", 0, 4500, 6300},
        {"as the server says", 600, 500, 700},
        {"not later than a day and a sixth", UINT64_MAX, 72000, 100800},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t c = 0; c < 3; c++) {
            struct courier_schedule s = {.failures = 5};
            courier_schedule_done(&s, NOW, rows[i].retry_after_s, chances[c]);
            within(rows[i].row, s.due_ms, rows[i].least_s, rows[i].most_s);
            assert_int_equal(s.failures, 0);
        }
}

static void failed(void **state)
{
    static const struct {
        const char *row;
        unsigned before;
        uint64_t retry_after_s;
        int64_t least_s, most_s;
    } rows[] = {
        {"first failure", 0, 0, 7, 15},
        {"second failure", 1, 0, 15, 30},
        {"sixth failure", 5, 0, 240, 480},
        {"at most an hour", 9, 0, 1800, 3600},
        {"never past it", 4000000000u, 0, 1800, 3600},
        {"Retry-After is obeyed", 0, 120, 120, 128},
        {"Retry-After shorter than the back-off", 9, 10, 1800, 3600},
        {"a Retry-After out of all reason", 0, UINT64_MAX, 86400, 86408},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t c = 0; c < 3; c++) {
            struct courier_schedule s = {.failures = rows[i].before};
            courier_schedule_failed(&s, NOW, rows[i].retry_after_s, chances[c]);
            within(rows[i].row, s.due_ms, rows[i].least_s, rows[i].most_s);
            assert_int_equal(s.failures, rows[i].before + 1);
        }
}

static void network(void **state)
{
    (void)state;
    for (size_t c = 0; c < 3; c++) {
        struct courier_schedule s = {.failures = 1, .due_ms = NOW + 3600 * S};
        courier_schedule_network(&s, NOW, chances[c]);
        within("after a failure: soon", s.due_ms, 1, 6);
        s = (struct courier_schedule){.failures = 1, .due_ms = NOW + 500};
        courier_schedule_network(&s, NOW, chances[c]);
        assert_int_equal(s.due_ms, NOW + 500); /* never put off */
        s = (struct courier_schedule){.failures = 0, .due_ms = NOW + 3600 * S};
        courier_schedule_network(&s, NOW, chances[c]);
        assert_int_equal(s.due_ms, NOW + 3600 * S); /* IPv6 renews its addresses every few minutes */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(done), cmocka_unit_test(failed),
                                       cmocka_unit_test(network)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
