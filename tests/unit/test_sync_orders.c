/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders to replace a key: each has its answer, in the same bytes for ever, and no clock but the server's has
 * a say in which. */
#include "agent/state/records.h"
#include "agent/volume/rotate.h"
#include "formats/command.h"
#include "tests/unit/exchange.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

/* From now on each answer has an order of that time to replace the first key. */
static void put_order(uint64_t time)
{
    struct cr_p256_key *key = fake_server_key(FAKE_SERVER_SEED);
    struct command c = {
        .order = COMMAND_ROTATE, .org = fake_agent.org->id, .key_id = exchange_made.key_id, .time = time};
    memcpy(c.device, fake_agent.key.id, 32);
    assert_int_equal(command_encode(&c, key, fake_server.more[0]), ERR_OK);
    fake_server.more_len[0] = COMMAND_LEN;
    fake_server.is_command[0] = true;
    cr_p256_free(key);
}

/* An order that is repeated, as a server does that hears no answer. */
static void order(uint64_t time)
{
    put_order(time);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(exchange_sync(1), MSG_DONE);
    fake_server.more_len[0] = 0;
    exchange_converge(3);
}

#define ANY_TIME UINT64_MAX

/* How many records on the server say that the first key was replaced, and name this time? */
static unsigned count_answers(uint64_t event_time)
{
    unsigned n = 0;
    for (unsigned i = 0; i < fake_server.n; i++) {
        struct record r;
        assert_int_equal(record_decode(fake_server.record[i].bytes, fake_server.record[i].len, &r), ERR_OK);
        n += r.kind == RECORD_EVENT && r.event == EVENT_ROTATED &&
             (event_time == ANY_TIME || r.event_time == event_time) &&
             guid_equal(&r.other_key_id, &exchange_made.key_id);
    }
    return n;
}

/* The key was used and replaced without an order, and the server has that: at that time, by its clock. */
static void rotate_unordered(uint64_t server_time)
{
    assert_int_equal(rotate_spend(&fake_agent, &exchange_made.key_id, KH_CAUSE_USED, "it was used"), ERR_OK);
    rotate_pending(&fake_agent, NULL);
    fake_server.posts = (unsigned)server_time;
    exchange_converge(3);
    assert_int_equal(count_answers(0), 1);
    assert_int_equal(count_answers(ANY_TIME), 1);
}

static bool exposed(void)
{
    struct cache_life l;
    assert_int_equal(cache_get_life(fake_agent.cache, &exchange_made.volume, &l), ERR_OK);
    return l.is_exposed;
}

/* As a re-encryption leaves it. */
static void end_exposure(void)
{
    struct cache_life l;
    assert_int_equal(cache_get_life(fake_agent.cache, &exchange_made.volume, &l), ERR_OK);
    l.is_exposed = false;
    assert_int_equal(cache_put_life(fake_agent.cache, &l), ERR_OK);
}

/* An order comes until it is done, and long after: one new key, one answer, which is the rotation's own
 * record, the same bytes for ever. */
static void an_order_again_and_again(void **state)
{
    (void)state;
    struct cache_volume v;
    struct guid old = exchange_made.key_id;
    put_order(5);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(exchange_sync(1), MSG_DONE);
    assert_int_equal(cache_get_volume(fake_agent.cache, &exchange_made.volume, &v), ERR_OK);
    assert_int_equal(v.rotate, KH_CAUSE_DISCLOSED);
    fake_keeper_stop(); /* what was heard outlives the process */
    fake_keeper_start(false);
    rotate_pending(&fake_agent, NULL);
    SECRET(text);
    assert_false(fake_password(&old, &text));
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(exchange_sync(1), MSG_DONE);
        rotate_pending(&fake_agent, NULL);
    }
    fake_server.more_len[0] = 0;
    exchange_converge(3);
    unsigned escrows = 0;
    for (unsigned i = 0; i < fake_server.n; i++)
        escrows += fake_server.record[i].is_escrow;
    assert_int_equal(escrows, 2); /* one rotation, however often it was ordered */
    assert_int_equal(count_answers(5), 1);
    assert_int_equal(count_answers(ANY_TIME), 1);
}

/* What was replaced before an order came has heard of none, whatever our clock said then: the order has an
 * answer of its own, at once. */
static void what_nobody_ordered_answers_no_order(void **state)
{
    (void)state;
    rotate_unordered(100);
    put_order(90);
    assert_int_equal(exchange_sync(1), MSG_DONE);
    assert_true(exchange_out.more); /* not at the next time that something happens */
    order(90);
    assert_int_equal(count_answers(90), 1);
    assert_int_equal(count_answers(ANY_TIME), 2);
    assert_false(exposed());
}

/* A server takes no record for an answer that says less than the order: whatever that says, and in whatever
 * turn orders come, there is one that says as much, so none is open for ever; and each of them is made once.
 */
static void no_order_is_open_for_ever(void **state)
{
    static const struct {
        uint64_t time;
        bool is_new; /* it wants a record of its own */
    } rows[] = {{2000, true},  {1, false},    {1999, false}, {2000, false}, {1ull << 40, true},
                {3000, false}, {2000, false}, {5, false},    {0, false}};
    (void)state;
    an_order_again_and_again(state);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned before = count_answers(ANY_TIME), of_time = count_answers(rows[i].time);
        order(rows[i].time);
        if (count_answers(ANY_TIME) - before != rows[i].is_new ||
            count_answers(rows[i].time) - of_time != rows[i].is_new)
            fail_msg("row %u: %u new records", i, count_answers(ANY_TIME) - before);
    }
}

/* A server that came back from a backup repeats an order of before: it gets the bytes that answered a later
 * one, and they are on their way. */
static void an_earlier_order_gets_what_was_said(void **state)
{
    (void)state;
    an_order_again_and_again(state);
    order(2000);
    fake_server_lose();
    put_order(1000);
    assert_int_equal(exchange_sync(1), MSG_DONE);
    fake_server.more_len[0] = 0;
    exchange_converge(6);
    assert_int_equal(count_answers(2000), 1);
    assert_int_equal(count_answers(1000), 0);
}

/* Who was shown the key after a server first knew that it was replaced may have the header from before. What
 * is said of the key later does not hide that; and no order that was answered says it again of a volume that
 * was re-encrypted since. */
static void a_key_that_is_shown_too_late(void **state)
{
    static const struct {
        uint64_t server, time; /* the server's clock, and the order's time */
        bool exposed;
    } rows[] = {{300, 50, false}, {400, 200, true},  {500, 200, false},
                {500, 50, false}, {500, 150, false}, {600, 450, true}};
    (void)state;
    rotate_unordered(100);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake_server.posts = (unsigned)rows[i].server;
        order(rows[i].time);
        if (exposed() != rows[i].exposed)
            fail_msg("row %u: exposed: %d", i, exposed());
        end_exposure();
    }
}

/* An earlier identity said that the key was replaced; the server knows it since. */
static void what_an_earlier_identity_said_is_known(void **state)
{
    (void)state;
    rotate_unordered(100);
    assert_int_equal(cache_clear_rotations(fake_agent.cache), ERR_OK);
    order(90);
    assert_false(exposed());
    assert_int_equal(cache_clear_rotations(fake_agent.cache), ERR_OK);
    order(200);
    assert_true(exposed());
}

/* A record of before has our own clock's time, which was ahead: it answers no order all the same. */
static void a_record_with_our_own_time_answers_no_order(void **state)
{
    struct cache_key k, keys[CACHE_KEYS];
    unsigned n;
    (void)state;
    rotate_unordered(100);
    assert_int_equal(cache_get_key(fake_agent.cache, &exchange_made.key_id, &k), ERR_OK);
    assert_int_equal(cache_keys(fake_agent.cache, &k.volume, keys, &n), ERR_OK);
    struct record r = {.kind = RECORD_EVENT,
                       .event = EVENT_ROTATED,
                       .key_id = keys[0].key_id,
                       .other_key_id = k.key_id,
                       .volume = k.volume,
                       .event_time = 100000};
    assert_int_equal(cache_begin(fake_agent.cache), ERR_OK);
    assert_int_equal(records_add(&fake_agent, &r, NULL), ERR_OK);
    assert_int_equal(cache_commit(fake_agent.cache), ERR_OK);
    exchange_converge(3);
    order(50000);
    order(50000);
    assert_int_equal(count_answers(50000), 1);
    assert_true(exposed());
}

/* While it cannot be answered, an order comes at each sync; what it tells is noted once. */
static void what_cannot_be_answered_is_noted_once(void **state)
{
    static const uint8_t bytes[64] = {0};
    (void)state;
    rotate_unordered(100);
    assert_int_equal(cache_add_draft(fake_agent.cache, RECORD_EVENT, bytes, sizeof bytes, NULL), ERR_OK);
    put_order(50000);
    for (unsigned i = 0; i < 3; i++) {
        (void)exchange_sync(1);
        assert_int_equal(exposed(), i == 0);
        end_exposure();
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, exchange_setup, exchange_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(an_order_again_and_again),
        WITH(what_nobody_ordered_answers_no_order),
        WITH(no_order_is_open_for_ever),
        WITH(an_earlier_order_gets_what_was_said),
        WITH(a_key_that_is_shown_too_late),
        WITH(what_an_earlier_identity_said_is_known),
        WITH(a_record_with_our_own_time_answers_no_order),
        WITH(what_cannot_be_answered_is_noted_once),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
