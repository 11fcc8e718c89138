/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier.h"
#include "agent/courier/errand.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
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
        s = (struct courier_schedule){.failures = 3, .due_ms = COURIER_NEVER};
        courier_schedule_network(&s, NOW, chances[c]);
        assert_true(s.due_ms == COURIER_NEVER); /* the keeper has nothing to send */
    }
}

static void retry_after_binds_all_but_a_person(void **state)
{
    (void)state;
    for (size_t c = 0; c < 3; c++) {
        struct courier_schedule s = {0};
        courier_schedule_failed(&s, NOW, 600, chances[c]);
        courier_schedule_network(&s, NOW, chances[c]);
        within("a new network", s.due_ms, 600, 608);
        courier_schedule_wanted(&s, NOW, false);
        within("a new escrow", s.due_ms, 600, 600);
        courier_schedule_wanted(&s, NOW, true);
        within("a person", s.due_ms, 0, 0);
        courier_schedule_failed(&s, NOW, 0, chances[c]);
        courier_schedule_wanted(&s, NOW, false);
        within("a new escrow after a plain failure", s.due_ms, 0, 0);
        courier_schedule_failed(&s, NOW, 600, chances[c]);
        courier_schedule_done(&s, NOW, 0, chances[c]);
        courier_schedule_wanted(&s, NOW, false);
        within("a new escrow after a success", s.due_ms, 0, 0);
        courier_schedule_more(&s, NOW, chances[c]);
        within("more waits", s.due_ms, 1, 3);
    }
}

static void patience_of_the_schedule(void **state)
{
    (void)state;
    struct courier_schedule s = {0};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(courier_schedule_patience_ms(&s, true), COURIER_PATIENCE_MS);
        assert_int_equal(courier_schedule_patience_ms(&s, false),
                         i < COURIER_TRIES ? COURIER_PATIENCE_MS : 12 * S);
        courier_schedule_failed(&s, NOW, 0, 0);
    }
    courier_schedule_done(&s, NOW, 0, 0);
    assert_int_equal(courier_schedule_patience_ms(&s, false), COURIER_PATIENCE_MS);
}

static struct msg_list list(const char *names)
{
    static const char *const url[] = {"https://a:1", "https://b:1", "https://c:1"};
    struct msg_list l = {0};
    for (; *names; names++)
        l.item[l.n++] = msg_text(url[*names - 'a']);
    return l;
}

static void picks(struct courier_servers *s, const char *org, int64_t now_ms, bool person, const char *want)
{
    struct msg_list l = list(org), got;
    char text[8] = "";
    courier_servers_pick(s, &l, now_ms, person, &got);
    for (uint32_t i = 0; i < got.n; i++)
        text[i] = (char)got.item[i].p[8];
    assert_string_equal(text, want);
}

static void said(struct courier_servers *s, char who, uint32_t status, uint64_t retry_after_s, int64_t now_ms)
{
    const char name[] = {who, 0};
    courier_servers_said(s, list(name).item[0], status, retry_after_s, now_ms);
}

static void order_of_servers(void **state)
{
    (void)state;
    struct courier_servers s = {0};
    const int64_t hours = 6 * 3600 * S;
    picks(&s, "abc", NOW, false, "abc");
    said(&s, 'a', MSG_OFFLINE, 0, NOW);
    said(&s, 'b', MSG_DONE, 0, NOW);
    picks(&s, "abc", NOW + 1, false, "bac"); /* the one that worked last goes first */
    said(&s, 'b', MSG_DONE, 0, NOW + hours - 1);
    picks(&s, "abc", NOW + hours - 1, false, "bac");
    picks(&s, "abc", NOW + hours, false, "abc"); /* the order wins back, however well the other one does */
    said(&s, 'b', MSG_DONE, 0, NOW + hours);
    picks(&s, "cab", NOW + hours, false, "bca"); /* it is known by its name, not by its place */
    said(&s, 'c', MSG_DONE, 0, NOW + hours);
    picks(&s, "cab", NOW + hours, false, "cab"); /* the organisation's first one needs no hours */
    said(&s, 'a', MSG_DONE, 0, NOW + hours);
    picks(&s, "cb", NOW + hours, false, "cb"); /* one that was preferred and is no longer named */
    picks(&s, "", NOW, false, "");
    assert_int_equal(courier_servers_wait_s(&s, NOW), 0);
}

static void servers_that_want_us_later(void **state)
{
    (void)state;
    struct courier_servers s = {0};
    picks(&s, "ab", NOW, false, "ab");
    said(&s, 'a', MSG_OFFLINE, 120, NOW);
    picks(&s, "ab", NOW + 1, false, "b");
    assert_int_equal(courier_servers_wait_s(&s, NOW + 1), 0);
    said(&s, 'b', MSG_OFFLINE, UINT64_MAX, NOW);
    picks(&s, "ab", NOW + 1, false, "");
    picks(&s, "ab", NOW + 1, true, "ab"); /* a person may ask at any time */
    assert_int_equal(courier_servers_wait_s(&s, NOW + 1), 120);
    picks(&s, "ab", NOW + 120 * S, false, "a");
    picks(&s, "b", NOW + 120 * S, false, "");
    assert_int_equal(courier_servers_wait_s(&s, NOW), 86400);
    picks(&s, "ab", NOW + 120 * S, false, "a");
    said(&s, 'b', MSG_DONE, 9, NOW);
    picks(&s, "ab", NOW + 121 * S, false, "ba"); /* it worked */
    said(&s, 'c', MSG_DONE, 0, NOW);             /* nobody we know */
    picks(&s, "ab", NOW + 121 * S, false, "ba");
}

static void patience(void **state)
{
    (void)state;
    struct errand_patience p = {.base_ms = 3000, .end_ms = NOW + 10000};
    errand_patience_start(&p, NOW);
    assert_int_equal(errand_patience_left(&p, NOW), 3000);
    for (int i = 1; i <= 100; i++) /* a byte now and then is no progress */
        errand_patience_moved(&p, NOW + 29 * i, (uint64_t)40 * (uint64_t)i);
    assert_int_equal(errand_patience_left(&p, NOW + 2900), 100);
    assert_int_equal(errand_patience_left(&p, NOW + 9999), 0);
    errand_patience_moved(&p, NOW + 2900, 4096);
    assert_int_equal(errand_patience_left(&p, NOW + 2900), 3000);
    errand_patience_moved(&p, NOW + 3000, 10); /* a counter that went back */
    assert_int_equal(errand_patience_left(&p, NOW + 3000), 2900);
    errand_patience_moved(&p, NOW + 5800, 8192);
    errand_patience_moved(&p, NOW + 8700, 12288);
    assert_int_equal(errand_patience_left(&p, NOW + 8700), 1300); /* all servers together have an end */
    errand_patience_start(&p, NOW + 9000);
    assert_int_equal(errand_patience_left(&p, NOW + 9000), 1000);
    errand_patience_moved(&p, NOW + 9500, 4096); /* the next server begins with nothing counted */
    assert_int_equal(p.counted, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done),
        cmocka_unit_test(failed),
        cmocka_unit_test(network),
        cmocka_unit_test(retry_after_binds_all_but_a_person),
        cmocka_unit_test(patience_of_the_schedule),
        cmocka_unit_test(order_of_servers),
        cmocka_unit_test(servers_that_want_us_later),
        cmocka_unit_test(patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
