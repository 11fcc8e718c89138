/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders to replace a key: what they say, whom they reach, and what closes them. */
#include "formats/command.h"
#include "tests/unit/writer_fixture.h"
#include <string.h>

static uint64_t ordered_time(void)
{
    uint8_t got[1][COMMAND_LEN];
    struct command c;
    unsigned n;
    assert_int_equal(ops.commands(w.store, device.d.id, 1, got, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(command_decode(got[0], COMMAND_LEN, &receipt_pub, &c), ERR_OK);
    return c.time;
}

/* An order says when the key was disclosed last, and never that it was when somebody told us of it. */
static void test_an_order_speaks_of_the_last_disclosure(void **state)
{
    static const struct {
        uint64_t time, want;
    } rows[] = {{1000, 1000}, {900, 1000}, {2000, 2000}, {1500, 2000}};
    struct msg_entry m = {.chain = "ab", .who = "alice", .key_id = {{1}}};
    const struct order_cause loss = {.disclosed = 100, .loss = 7};
    struct batch b = {.w = &w};
    (void)state;
    memcpy(m.device, device.d.id, sizeof m.device);
    assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
    assert_int_equal(writer_order_rotation(&b, m.device, &m.key_id, &loss), ERR_OK); /* a loss */
    batch_finish(&b);
    assert_int_equal(ordered_time(), 100);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct batch next = {.w = &w};
        struct pending p = {.type = MSG_DISCLOSED};
        m.n = i + 1;
        m.time = rows[i].time;
        writer_disclosed(&next, &p, &m);
        batch_finish(&next);
        assert_int_equal(p.err, ERR_OK);
        assert_int_equal(ordered_time(), rows[i].want);
    }
}

/* A first order is closed by what was replaced since the key was shown, or names that moment; one that is
 * given out once more, by that alone. */
static void test_what_closes_an_order(void **state)
{
    static const struct {
        const char *name;
        uint64_t event_time, time;
        bool first, again; /* does it close that? */
    } rows[] = {{"before", 999, 2000, false, false},
                {"before, by the record's own time", 0, 999, false, false},
                {"the order's answer, of a clock that is behind", 1000, 5, true, true},
                {"since", 1001, 5, true, false},
                {"since, by the record's own time", 0, 1001, true, false},
                {"at that time, by the record's own", 0, 1000, true, false}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned again = 0; again < 2; again++) {
            const struct guid key = {{(uint8_t)(i + 1), (uint8_t)again}};
            const struct order_cause before = {.disclosed = 500}, cause = {.disclosed = 1000};
            struct record r = {.event = EVENT_ROTATED,
                               .other_key_id = key,
                               .event_time = rows[i].event_time,
                               .time = rows[i].time};
            struct batch b = {.w = &w};
            memcpy(r.device, device.d.id, 32);
            assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
            if (again) {
                assert_int_equal(writer_order_rotation(&b, r.device, &key, &before), ERR_OK);
                assert_int_equal(ops.command_done(w.store, r.device, &key, 600), ERR_OK);
            }
            assert_int_equal(writer_order_rotation(&b, r.device, &key, &cause), ERR_OK);
            assert_int_equal(writer_order_done(&b, &r), ERR_OK);
            batch_finish(&b);
            if ((count_orders() == 0) != (again ? rows[i].again : rows[i].first))
                fail_msg("%s: %s order is %s", rows[i].name, again ? "another" : "the first",
                         count_orders() == 0 ? "closed" : "open");
            struct batch end = {.w = &w};
            assert_int_equal(batch_need(&end, STORE_RECOVERY), ERR_OK);
            assert_int_equal(ops.command_done(w.store, r.device, &key, 2000), ERR_OK);
            batch_finish(&end);
        }
}

/* Another device brought the key and replaced it, without an order of its own: before the key was shown, it
 * is told, too; since, that is done. */
static void test_who_brought_a_key_is_told_as_its_owner(void **state)
{
    static const struct {
        uint64_t replaced;
        unsigned open;
    } rows[] = {{999, 1}, {1000, 0}, {1001, 0}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guid key = {{[15] = (uint8_t)(i + 1)}};
        struct record r = {.event = EVENT_ROTATED, .other_key_id = key, .time = rows[i].replaced};
        struct store_record sight = {.received_us = 150000000, .name = {(uint8_t)(i + 1), 7}};
        struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = 150, .key_id = key};
        struct batch b = {.w = &w}, answer = {.w = &w};
        memset(r.device, (int)i + 0x51, sizeof r.device);
        memcpy(sight.r.device, r.device, sizeof r.device);
        memcpy(e.device, device.d.id, sizeof e.device);
        sight.r.envelope = sight.name;
        sight.r.envelope_len = sizeof sight.name;
        assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops.envelope_put(w.store, &sight, &e), ERR_OK);
        assert_int_equal(
            writer_order_rotation(&b, device.d.id, &key, &(struct order_cause){.disclosed = 1000}), ERR_OK);
        assert_int_equal(writer_order_done(&b, &r), ERR_OK);
        batch_finish(&b);
        if (count_orders_of(r.device) != rows[i].open)
            fail_msg("replaced at %u: %u orders", (unsigned)rows[i].replaced, count_orders_of(r.device));
        r.event_time = 1000; /* the answer */
        assert_int_equal(batch_need(&answer, STORE_RECOVERY), ERR_OK);
        assert_int_equal(writer_order_done(&answer, &r), ERR_OK);
        batch_finish(&answer);
        assert_int_equal(count_orders_of(r.device), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_an_order_speaks_of_the_last_disclosure),
        WRITER_TEST(test_what_closes_an_order),
        WRITER_TEST(test_who_brought_a_key_is_told_as_its_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
