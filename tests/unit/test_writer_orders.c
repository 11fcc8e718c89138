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

static void give_order(const uint8_t id[static 32], const struct guid *key, uint64_t disclosed, uint64_t loss)
{
    struct batch b = {.w = &w};
    assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
    assert_int_equal(
        writer_order_rotation(&b, id, key, &(struct order_cause){.disclosed = disclosed, .loss = loss}),
        ERR_OK);
    batch_finish(&b);
}

static void take_record(const uint8_t id[static 32], struct record r)
{
    struct batch b = {.w = &w};
    memcpy(r.device, id, 32);
    assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
    assert_int_equal(writer_order_done(&b, &r), ERR_OK);
    batch_finish(&b);
}

static void take_answer(const uint8_t id[static 32], const struct guid *key, uint64_t event_time)
{
    take_record(id, (struct record){.event = EVENT_ROTATED, .other_key_id = *key, .event_time = event_time});
}

/* An order is closed by what names its time or a later order's, the first one as one that is given out once
 * more. The device's clock (the record's time) has no say. */
static void test_what_closes_an_order(void **state)
{
    static const struct {
        const char *name;
        uint8_t event;
        uint64_t event_time, time;
        bool closes;
    } rows[] = {{"no order's, of a clock that is ahead", EVENT_ROTATED, 0, 5000, false},
                {"an earlier order's", EVENT_ROTATED, 999, 5000, false},
                {"the order's, of a clock that is behind", EVENT_ROTATED, 1000, 5, true},
                {"a later order's, which the store has lost", EVENT_ROTATED, 1001, 5, true},
                {"that something else was done", EVENT_DONE, 1001, 5000, false}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned again = 0; again < 2; again++) {
            const struct guid key = {{(uint8_t)(i + 1), (uint8_t)again}};
            if (again) {
                give_order(device.d.id, &key, 500, 0);
                take_answer(device.d.id, &key, 500);
                assert_int_equal(count_orders(), 0);
            }
            give_order(device.d.id, &key, 1000, 0);
            take_record(device.d.id, (struct record){.event = rows[i].event,
                                                     .other_key_id = key,
                                                     .event_time = rows[i].event_time,
                                                     .time = rows[i].time});
            if ((count_orders() == 0) != rows[i].closes)
                fail_msg("%s: %s order is %s", rows[i].name, again ? "another" : "the first",
                         count_orders() == 0 ? "closed" : "open");
            take_answer(device.d.id, &key, 1000);
            assert_int_equal(count_orders(), 0);
        }
}

/* A desk's log comes after an order of an earlier time was answered: that answer did not say what became of
 * the key when the desk showed it, so it is asked for, once. */
static void test_a_disclosure_told_late_is_an_order_of_its_own(void **state)
{
    static const struct {
        uint64_t told;
        unsigned open;
    } rows[] = {{100, 0}, {500, 1}, {400, 0}, {500, 0}, {600, 1}};
    const struct guid key = {{1}};
    (void)state;
    give_order(device.d.id, &key, 100, 0);
    take_answer(device.d.id, &key, 100);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        give_order(device.d.id, &key, rows[i].told, 0);
        if (count_orders() != rows[i].open)
            fail_msg("row %u: %u orders", i, count_orders());
        if (rows[i].open)
            assert_int_equal(ordered_time(), rows[i].told);
        take_answer(device.d.id, &key, rows[i].told);
        assert_int_equal(count_orders(), 0);
    }
}

/* It was answered for an earlier time; then a loss wants it, and then somebody who was shown the key before
 * that: the loss's end does not take it back. */
static void test_what_was_disclosed_waits_for_no_loss(void **state)
{
    const struct guid key = {{1}};
    uint64_t n = 9;
    (void)state;
    give_order(device.d.id, &key, 100, 0);
    take_answer(device.d.id, &key, 100);
    give_order(device.d.id, &key, 200, 7);
    assert_int_equal(ops.loss_count(w.store, 6, 8, &n), ERR_OK);
    assert_int_equal(n, 1);
    give_order(device.d.id, &key, 150, 0);
    assert_int_equal(ops.loss_count(w.store, 6, 8, &n), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ordered_time(), 200);
}

/* That device brought a key of ours. */
static void bring(const uint8_t id[static 32], const struct guid *key)
{
    struct store_record sight = {.received_us = 150000000};
    struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = 150, .key_id = *key};
    struct batch b = {.w = &w};
    memcpy(sight.r.device, id, sizeof sight.r.device);
    memcpy(sight.name, id, sizeof sight.name);
    memcpy(e.device, device.d.id, sizeof e.device);
    sight.r.envelope = sight.name;
    sight.r.envelope_len = sizeof sight.name;
    assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops.envelope_put(w.store, &sight, &e), ERR_OK);
    batch_finish(&b);
}

static bool owner_waits(const struct guid *key)
{
    bool open;
    assert_int_equal(ops.command_open(w.store, device.d.id, key, &open), ERR_OK);
    return open;
}

/* Another device brought the key and replaced it: what does not answer the owner's order gives it that one,
 * whatever it was told and answered itself before; its answer counts for both. */
static void test_who_brought_a_key_is_told_as_its_owner(void **state)
{
    static const struct {
        const char *name;
        uint64_t before, says; /* before: time of an order of its own that it answered; 0: none */
        unsigned open;
    } rows[] = {{"it was never told", 0, 0, 1},
                {"it was told of an earlier disclosure", 999, 999, 1},
                {"it says what it heard before", 0, 999, 1},
                {"it was told", 1000, 1000, 0},
                {"it heard of it", 0, 1000, 0},
                {"it heard of a later one", 0, 1001, 0}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guid key = {{[15] = (uint8_t)(i + 1)}};
        struct device other = {.d = {.approved = DEVICE_APPROVED, .enrolled = 50}};
        struct batch b = {.w = &w};
        memset(other.d.id, (int)i + 0x51, sizeof other.d.id);
        assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops.device_put(w.store, &other.d), ERR_OK);
        batch_finish(&b);
        bring(other.d.id, &key);
        if (rows[i].before != 0) {
            give_order(other.d.id, &key, rows[i].before, 0);
            take_answer(other.d.id, &key, rows[i].before);
        }
        give_order(device.d.id, &key, 1000, 0);
        take_answer(other.d.id, &key, rows[i].says);
        if (count_orders_of(other.d.id) != rows[i].open)
            fail_msg("%s: %u orders", rows[i].name, count_orders_of(other.d.id));
        take_answer(other.d.id, &key, 1000);
        if (count_orders_of(other.d.id) != 0 || owner_waits(&key))
            fail_msg("%s: what answers it is no answer", rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_an_order_speaks_of_the_last_disclosure),
        WRITER_TEST(test_what_closes_an_order),
        WRITER_TEST(test_a_disclosure_told_late_is_an_order_of_its_own),
        WRITER_TEST(test_what_was_disclosed_waits_for_no_loss),
        WRITER_TEST(test_who_brought_a_key_is_told_as_its_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
