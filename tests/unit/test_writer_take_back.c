/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stopped loss takes back what it alone ordered. */
#include "tests/unit/writer_fixture.h"
#include <string.h>

static void seen_at(const uint8_t id[static 32], uint64_t time)
{
    bool replicated;
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops.device_seen(w.store, id, time, NULL), ERR_OK);
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
}

static struct pending take_back(uint64_t loss)
{
    struct batch b = {.w = &w};
    struct pending p = {.type = MSG_TAKE_BACK};
    writer_take_back(&b, &p, loss);
    batch_finish(&b);
    return p;
}

/* What a loss alone ordered goes back when a person stopped it; what was disclosed, too, before or after,
 * stays, and so does what was done. */
static void test_a_stopped_loss_takes_its_orders_back(void **state)
{
    static const struct {
        const char *name;
        uint64_t first, then; /* loss of the first order, and of one that follows; 0: a disclosure */
        bool follows, done;
        unsigned left; /* orders that wait afterwards */
    } rows[] = {{"a loss", 7, 0, false, false, 0},
                {"another loss", 8, 0, false, false, 1},
                {"a disclosure", 0, 0, false, false, 1},
                {"a disclosure, then a loss", 0, 7, true, false, 1},
                {"a loss, then a disclosure of before that", 7, 0, true, false, 1},
                {"two losses", 7, 8, true, false, 0},
                {"two losses, of which another one was first", 8, 7, true, false, 1},
                {"done", 7, 0, false, true, 0}};
    (void)state;
    w.uncertain.losses = (struct msg_losses){.n = 2, .item = {{.mark = 7}, {.mark = 8, .stopped = true}}};
    assert_int_equal(take_back(7).err, ERR_BUSY);
    w.uncertain.losses.item[0].stopped = true;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guid key = {{(uint8_t)(i + 1)}};
        const struct order_cause first = {.disclosed = 1000, .loss = rows[i].first},
                                 then = {.disclosed = rows[i].then != 0 ? 2000 : 500, .loss = rows[i].then};
        const struct record did = {.event = EVENT_ROTATED, .other_key_id = key, .event_time = 2000};
        struct batch b = {.w = &w};
        struct record answer = did;
        memcpy(answer.device, device.d.id, 32);
        assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
        assert_int_equal(writer_order_rotation(&b, device.d.id, &key, &first), ERR_OK);
        if (rows[i].follows)
            assert_int_equal(writer_order_rotation(&b, device.d.id, &key, &then), ERR_OK);
        if (rows[i].done)
            assert_int_equal(writer_order_done(&b, &answer), ERR_OK);
        batch_finish(&b);
        bool was = rows[i].left == 0 && !rows[i].done, late = i % 2 == 0;
        seen_at(device.d.id, late ? writer_now() + 5 : 1); /* was it here since? */
        struct pending p = take_back(7);
        if (p.err != ERR_OK || count_orders() != rows[i].left || p.taken_back.n != was ||
            p.taken_back.gone != (was && late) || p.taken_back.more)
            fail_msg("%s: err %d, %u left, %llu taken back", rows[i].name, p.err, count_orders(),
                     (unsigned long long)p.taken_back.n);
        struct batch end = {.w = &w};
        assert_int_equal(batch_need(&end, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops.command_done(w.store, device.d.id, &key, 9), ERR_OK);
        batch_finish(&end);
    }
}

/* Entries have numbers, and another log has the same: of one that was there before, or of another server.
 * What it ordered is not ours to take back, nor what stands there with a number, as an earlier version wrote
 * it; whoever stops a loss of ours hears how many those are. */
static void test_orders_of_another_log_stay(void **state)
{
    static const struct {
        uint64_t loss;
        bool done;
        unsigned alien;
    } rows[] = {{3, false, 1}, /* a number */
                {MSG_LOSS_MARK, false, 2},
                {MSG_LOSS_MARK + 70, false, 2}, /* ours, and stopped */
                {MSG_LOSS_MARK + 80, false, 3},
                {MSG_LOSS_MARK + 90, false, 3}, /* ours */
                {2 * MSG_LOSS_MARK - 2, false, 4},
                {MSG_LOSS_MARK + 1, true, 4},
                {0, false, 4}}; /* a disclosure */
    (void)state;
    w.uncertain.losses = (struct msg_losses){.n = 2,
                                             .item = {{.n = 4, .mark = MSG_LOSS_MARK + 90},
                                                      {.n = 3, .mark = MSG_LOSS_MARK + 70, .stopped = true}}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct guid key = {{(uint8_t)(i + 1)}};
        const struct order_cause cause = {.disclosed = 1000, .loss = rows[i].loss};
        struct batch b = {.w = &w};
        assert_int_equal(batch_need(&b, STORE_RECOVERY), ERR_OK);
        assert_int_equal(writer_order_rotation(&b, device.d.id, &key, &cause), ERR_OK);
        if (rows[i].done)
            assert_int_equal(ops.command_done(w.store, device.d.id, &key, 9), ERR_OK);
        batch_finish(&b);
        struct pending p = take_back(MSG_LOSS_MARK + 70);
        if (p.err != ERR_OK || p.taken_back.n != (i == 2) || p.taken_back.alien != rows[i].alien)
            fail_msg("row %u: err %d, %llu taken back, %llu of others", i, p.err,
                     (unsigned long long)p.taken_back.n, (unsigned long long)p.taken_back.alien);
    }
    assert_int_equal(count_orders(), 6);
    assert_int_equal(take_back(3).err, ERR_BUSY); /* a number is nobody's mark */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_a_stopped_loss_takes_its_orders_back),
        WRITER_TEST(test_orders_of_another_log_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
