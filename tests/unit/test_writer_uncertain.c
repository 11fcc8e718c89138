/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys that a loss made uncertain are ordered to be replaced, at a rate, and nobody is left out. */
#include "tests/unit/writer_fixture.h"
#include <string.h>

static uint8_t put_keys_of(const uint8_t owner[static 32], uint8_t first, unsigned n)
{
    bool replicated;
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    for (uint8_t i = first; i < first + n; i++) {
        struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = 150};
        struct store_record r = {.received_us = 150000000, .name = {i}};
        r.r.kind = RECORD_ESCROW;
        r.r.envelope = r.name;
        r.r.envelope_len = sizeof r.name;
        memcpy(r.r.device, owner, 32);
        memcpy(e.device, owner, 32);
        e.key_id.bytes[15] = e.volume.bytes[15] = i;
        assert_int_equal(ops.envelope_put(w.store, &r, &e), ERR_OK);
    }
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
    return (uint8_t)(first + n);
}

static void put_keys(unsigned n)
{
    (void)put_keys_of(device.d.id, 1, n);
}

/* As if so many milliseconds had gone by. */
static void pass(int64_t ms)
{
    w.uncertain.filled_ms -= ms;
    w.uncertain.again_ms = 0;
    (void)writer_uncertain(&w);
}

/* Six keys that may have been disclosed, sixty an hour: one a minute, and never more than ten at once. */
static void test_uncertain_keys_are_ordered_at_a_rate(void **state)
{
    struct msg_losses losses = {.n = 1, .item = {{.mark = 3, .rotate_from = 100, .rotate_until = 200}}};
    (void)state;
    put_keys(6);
    w.uncertain.per_hour = 60;
    assert_int_equal(writer_uncertain(&w), -1);
    writer_losses(&w, &losses);
    pass(0);
    assert_int_equal(count_orders(), 0);
    assert_int_equal(w.uncertain.count[STORE_NO_ORDER], 6);
    pass(60000);
    assert_int_equal(count_orders(), 1);
    pass(119000);
    assert_int_equal(count_orders(), 2);
    pass(1000); /* what was over counts */
    assert_int_equal(count_orders(), 3);
    losses.item[0].stopped = true;
    writer_losses(&w, &losses);
    pass(3600000);
    assert_int_equal(count_orders(), 3);
    losses.item[0].stopped = false;
    writer_losses(&w, &losses);
    pass(3600000);
    assert_int_equal(count_orders(), 6);
    assert_true(w.uncertain.allowed <= 10);
    assert_int_equal(w.uncertain.count[STORE_ORDER_WAITS], 6);
}

static unsigned n_busy; /* so many times */

static enum err faulty_uncertain(struct store *s, const struct store_window *window,
                                 const uint8_t after[static 32], const uint8_t last[static 32], unsigned max,
                                 struct store_uncertain *ret, unsigned *ret_n)
{
    return n_busy > 0 ? n_busy--, ERR_BUSY : store_sql.uncertain(s, window, after, last, max, ret, ret_n);
}

static void put_devices(uint8_t n)
{
    struct store_device d = {.approved = DEVICE_APPROVED};
    bool replicated;
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    for (uint8_t i = 1; i <= n; i++) {
        d.id[31] = i;
        assert_int_equal(ops.device_put(w.store, &d), ERR_OK);
    }
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
}

/* Devices that take the store too long keep nobody behind them from an order. */
static void test_who_cannot_be_judged_stops_nobody(void **state)
{
    const struct msg_losses losses = {.n = 1, .item = {{.mark = 3, .rotate_from = 100, .rotate_until = 200}}};
    (void)state;
    put_devices(40);
    put_keys(1);
    ops.uncertain = faulty_uncertain;
    n_busy = 1;
    w.uncertain.per_hour = 36000;
    writer_losses(&w, &losses);
    for (unsigned i = 0; i < 3; i++)
        pass(3600000);
    assert_int_equal(n_busy, 0);
    assert_int_equal(count_orders(), 1);
    assert_true(w.uncertain.missed);
    assert_true(w.uncertain.again_ms > writer_now_ms() + 10000); /* nor is the writer kept busy */
}

/* A device with new "old" keys before each pass, in front of all others: they get orders all the same. */
static void test_no_device_takes_what_is_everybodys(void **state)
{
    const struct msg_losses losses = {.n = 1, .item = {{.mark = 3, .rotate_from = 100, .rotate_until = 200}}};
    const uint8_t greedy[32] = {[31] = 1};
    uint8_t next = 10;
    (void)state;
    put_devices(1);
    put_keys(2);
    w.uncertain.per_hour = 60;
    writer_losses(&w, &losses);
    for (unsigned i = 0; i < 6; i++) {
        next = put_keys_of(greedy, next, 6);
        pass(i == 0 ? 0 : 60000);
    }
    assert_int_equal(count_orders(), 2);
    assert_int_equal(count_orders_of(greedy), 3);
    put_keys(6);
    next = put_keys_of(greedy, next, 6);
    for (unsigned i = 0; i < 2; i++)
        pass(3600000);
    assert_int_equal(count_orders(), 6);
    assert_true(count_orders_of(greedy) <= 3 + 2 * 4);
}

/* What nobody approved, and what is revoked, takes nothing. */
static void test_only_devices_that_count_are_ordered(void **state)
{
    static const struct {
        uint8_t approved;
        bool revoked;
        unsigned n;
    } rows[] = {{DEVICE_WAITING, false, 0},
                {DEVICE_REFUSED, false, 0},
                {DEVICE_APPROVED, true, 0},
                {DEVICE_APPROVED, false, 1},
                {DEVICE_BACK, false, 1}};
    const struct msg_losses losses = {.n = 1, .item = {{.mark = 3, .rotate_from = 100, .rotate_until = 200}}};
    bool replicated;
    (void)state;
    put_keys(1);
    w.uncertain.per_hour = 36000;
    writer_losses(&w, &losses);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops.device_approve(w.store, device.d.id, rows[i].approved), ERR_OK);
        assert_int_equal(ops.device_revoke(w.store, device.d.id, rows[i].revoked), ERR_OK);
        assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
        pass(i == 0 ? 0 : 3600000);
        pass(3600000);
        if (count_orders() != rows[i].n)
            fail_msg("row %u: %u orders", i, count_orders());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_uncertain_keys_are_ordered_at_a_rate),
        WRITER_TEST(test_who_cannot_be_judged_stops_nobody),
        WRITER_TEST(test_no_device_takes_what_is_everybodys),
        WRITER_TEST(test_only_devices_that_count_are_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
