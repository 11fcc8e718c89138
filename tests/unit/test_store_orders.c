/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders to replace a key: for whom they wait, until when, and whose loss they are. */
#include "tests/unit/store_fixture.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void test_orders_wait_until_they_are_done(void **state)
{
    struct store *s = *state;
    struct store_command c = {.device = {1}, .key_id = {{2}}, .made = 5, .bytes = {3}};
    uint8_t got[MSG_COMMANDS][COMMAND_LEN];
    unsigned n;
    const struct guid other = {{9}};
    struct store_waiting waiting = {.again = true};
    bool open;
    assert_int_equal(ops->command_open(s, c.device, &c.key_id, &open), ERR_OK);
    assert_false(open);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->command_open(s, c.device, &c.key_id, &open), ERR_OK);
    assert_true(open);
    c.bytes[0] = 4; /* it may be signed again while it waits */
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->command_get(s, c.device, &other, &waiting), ERR_NOT_FOUND);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_OK);
    assert_false(waiting.again);
    assert_memory_equal(waiting.bytes, c.bytes, COMMAND_LEN);
    assert_int_equal(ops->command_done(s, c.device, &other, 6), ERR_OK);
    assert_int_equal(ops->commands(s, c.device, MSG_COMMANDS, got, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(got[0][0], 4);
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 6), ERR_OK);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_NOT_FOUND);
    assert_int_equal(ops->commands(s, c.device, MSG_COMMANDS, got, &n), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ops->command_open(s, c.device, &c.key_id, &open), ERR_OK);
    assert_false(open);
    const struct {
        uint64_t disclosed;
        unsigned n;
    } again[] = {{5, 0}, /* the same disclosure told again orders nothing */
                 {6, 1}, /* another one, after it was done */
                 {6, 0}};
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        c.disclosed = again[i].disclosed;
        assert_int_equal(ops->command_put(s, &c), ERR_OK);
        assert_int_equal(ops->commands(s, c.device, MSG_COMMANDS, got, &n), ERR_OK);
        assert_int_equal(n, again[i].n);
        assert_int_equal(ops->command_open(s, c.device, &c.key_id, &open), ERR_OK);
        assert_false(open); /* it was replaced, whoever hears of it once more */
        assert_int_equal(ops->command_done(s, c.device, &c.key_id, 7), ERR_OK);
    }
}

static void check_loss(struct store *s, const char *when, uint64_t loss, unsigned want)
{
    struct store_loss_order order[4];
    uint64_t above = 9, below = 9;
    unsigned n = 9;
    assert_int_equal(ops->loss_orders(s, loss, 4, order, &n), ERR_OK);
    assert_int_equal(ops->loss_count(s, loss - 1, loss + 1, &above), ERR_OK);
    assert_int_equal(ops->loss_count(s, loss, loss + 1, &below), ERR_OK);
    if (n != want || above != want || below != 0)
        fail_msg("%s: %u orders, %u are counted", when, n, (unsigned)above);
}

/* An order waits for the loss that wanted it first, until somebody else wants it, or it is done. */
static void test_whose_loss_an_order_is(void **state)
{
    struct store *s = *state;
    const uint64_t first = MSG_LOSS_MARK + 5, second = 2 * MSG_LOSS_MARK - 1 - 5;
    struct store_command c = {.device = {1}, .key_id = {{2}}, .made = 5, .loss = first, .bytes = {3}};
    struct store_loss_order order[1];
    struct store_waiting waiting;
    unsigned n;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "made", first, 1);
    c.loss = second;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "another loss", first, 1);
    check_loss(s, "another loss", second, 0);
    assert_int_equal(ops->loss_orders(s, first, 1, order, &n), ERR_OK);
    assert_false(order[0].gone);
    struct store_device d = {.computer = "a", .enrolled = 1};
    memcpy(d.id, c.device, sizeof d.id);
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
    assert_int_equal(ops->device_seen(s, d.id, 5, NULL), ERR_OK);
    assert_int_equal(ops->loss_orders(s, first, 1, order, &n), ERR_OK);
    assert_true(order[0].gone); /* it was here since */
    assert_int_equal(ops->take_back(s, &order[0]), ERR_OK);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "ordered again", second, 1);
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 6), ERR_OK);
    check_loss(s, "done", second, 0);
    c.disclosed = 7;
    c.loss = first;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "once more", first, 1);
    c.loss = second;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "once more, another loss", first, 1);
    c.loss = 0;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "disclosed", first, 0);
    c.loss = first;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "disclosed, then lost", first, 0);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_OK);
    assert_true(waiting.loss == 0 && waiting.again);
}

/* Device 2 brought a key of device 1 and has a key of its own on that volume; device 3 only brought it. */
static void test_another_device_may_answer(void **state)
{
    static const char old[] = "ABCDEF01-0000-4000-8000-000000000001";
    static const char new[] = "ABCDEF01-0000-4000-8000-000000000002";
    struct store *s = *state;
    struct store_device d = {.computer = "a", .enrolled = 10};
    struct made m;
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(2, 1, 1, 2), make_record(3, 1, 1, 3),
                               make_record(2, 1, 2, 4)};
    struct store_command c = {.made = 5, .bytes = {3}};
    uint8_t got[4][32], owner[32];
    unsigned n;
    bool yes;
    for (unsigned i = 0; i < 3; i++) {
        memset(d.id, (int)i + 1, sizeof d.id);
        assert_int_equal(ops->device_put(s, &d), ERR_OK);
        put_envelope(s, &r[i], old, 1, 1, &m);
    }
    c.key_id = m.e.key_id;
    assert_int_equal(ops->holders(s, r[0].r.device, &c.key_id, 4, got, &n), ERR_OK);
    assert_int_equal(n, 0);
    put_envelope(s, &r[3], new, 2, 2, &m);
    assert_int_equal(ops->holders(s, r[0].r.device, &c.key_id, 4, got, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_memory_equal(got[0], r[1].r.device, 32);
    assert_int_equal(ops->command_former(s, r[1].r.device, &c.key_id, owner), ERR_NOT_FOUND); /* no order */
    for (unsigned i = 0; i < 2; i++) {
        memcpy(c.device, r[i].r.device, 32);
        assert_int_equal(ops->command_put(s, &c), ERR_OK);
    }
    assert_int_equal(ops->command_former(s, r[1].r.device, &c.key_id, owner), ERR_OK);
    assert_memory_equal(owner, r[0].r.device, 32);
    assert_int_equal(ops->command_former(s, r[0].r.device, &c.key_id, owner),
                     ERR_NOT_FOUND); /* its own is not another's */
    assert_int_equal(ops->command_open(s, r[0].r.device, &c.key_id, &yes), ERR_OK);
    assert_true(yes);
    assert_int_equal(ops->command_done(s, r[1].r.device, &c.key_id, 6), ERR_OK);
    assert_int_equal(ops->command_open(s, r[0].r.device, &c.key_id, &yes), ERR_OK);
    assert_false(yes);
    assert_int_equal(ops->device_seen(s, r[0].r.device, 11, NULL), ERR_OK); /* it is still there: a clone */
    assert_int_equal(ops->command_open(s, r[0].r.device, &c.key_id, &yes), ERR_OK);
    assert_true(yes);
}

/* Any number of devices with low IDs that had the volume before leave room for the one that has it now. */
static void test_the_newest_holder_comes_first(void **state)
{
    static const char old[] = "ABCDEF01-0000-4000-8000-000000000001";
    struct store *s = *state;
    struct made m;
    uint8_t got[2][32];
    unsigned n;
    for (uint8_t i = 2; i <= 10; i++) {
        char own[GUID_TEXT];
        struct store_record r = make_record(i, 1, i == 8 ? 99 : i, i);
        snprintf(own, sizeof own, "ABCDEF01-0000-4000-8000-0000000001%02X", i);
        put_envelope(s, &r, own, i, i, &m);
        r = make_record(i, 1, 50 - i, 100 + i);
        put_envelope(s, &r, old, 1, 1, &m);
    }
    const uint8_t owner[32] = {1};
    assert_int_equal(ops->holders(s, owner, &m.e.key_id, 2, got, &n), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ops->holders(s, m.e.device, &m.e.key_id, 2, got, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[0][0], 8);
    assert_int_equal(got[1][0], 10);
}

/* What was answered is told as it was put, and only while nothing is to be done. */
static void test_what_was_answered(void **state)
{
    struct store *s = *state;
    struct store_command c = {.device = {1}, .key_id = {{2}}, .made = 5, .fresh = true, .bytes = {3}};
    uint8_t got[COMMAND_LEN];
    struct store_waiting waiting;
    assert_int_equal(ops->command_answered(s, c.device, &c.key_id, got), ERR_NOT_FOUND);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->command_answered(s, c.device, &c.key_id, got), ERR_NOT_FOUND);
    assert_int_equal(ops->command_put(s, &c), ERR_CONFLICT); /* it is not fresh any more */
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 9), ERR_OK);
    assert_int_equal(ops->command_answered(s, c.device, &c.key_id, got), ERR_OK);
    assert_memory_equal(got, c.bytes, COMMAND_LEN);
    c = (struct store_command){.device = {1}, .key_id = {{2}}, .made = 6, .disclosed = 8, .bytes = {4}};
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_NOT_FOUND); /* done since */
    c.disclosed = STORE_UNHEARD;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_OK);
    assert_true(waiting.again && waiting.bytes[0] == 4);
    assert_int_equal(ops->command_answered(s, c.device, &c.key_id, got), ERR_NOT_FOUND);
}

struct other_server {
    struct store *s;
    struct store_command c;
    enum err err;
    atomic_bool ready;
};

static void *put_at_other(void *arg)
{
    struct other_server *o = arg;
    bool replicated;
    o->err = ops->command_put(o->s, &o->c);
    if (o->err == ERR_OK)
        o->err = ops->commit(o->s, STORE_RECOVERY, &replicated);
    o->ready = true;
    return NULL;
}

/* The other server puts its order: until it has done so, or waits for us. */
static void let_other_put(struct other_server *o, pthread_t *ret)
{
    assert_int_equal(ops->open(&engine.place, &o->s), ERR_OK);
    assert_int_equal(ops->begin(o->s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(pthread_create(ret, NULL, put_at_other, o), 0);
    for (time_t end = time(NULL) + 60; !o->ready && !somebody_waits();)
        assert_true(time(NULL) < end);
}

static void expect_waiting(struct store *s, const struct store_command *c, bool again)
{
    struct store_waiting waiting;
    assert_int_equal(ops->begin(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->command_get(s, c->device, &c->key_id, &waiting), ERR_OK);
    assert_memory_equal(waiting.bytes, c->bytes, COMMAND_LEN);
    assert_int_equal(waiting.again, again);
}

/* A record answers the order that this server reads, while another one gives it out with a later time: what
 * is done is the order that was read. */
static void test_two_servers_close_what_they_read(void **state)
{
    struct store *s = *state;
    struct store_command c = {.device = {1}, .key_id = {{2}}, .made = 5, .bytes = {3}};
    struct other_server other = {.c = c};
    struct store_waiting waiting;
    bool replicated;
    pthread_t thread;
    if (ops->room(s, STORE_RECOVERY) == 0)
        return; /* a SQLite store has one writer */
    other.c.bytes[0] = 4;
    other.c.disclosed = STORE_UNHEARD;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_OK);
    assert_int_equal(ops->begin(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_OK);
    let_other_put(&other, &thread);
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 9), ERR_OK);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_OK);
    pthread_join(thread, NULL);
    assert_int_equal(other.err, ERR_OK);
    expect_waiting(s, &other.c, true);
    ops->close(other.s);
}

/* Both are told of a disclosure of the same key, and neither sees the other's order: the second one hears
 * that there is one now. */
static void test_two_servers_order_at_once(void **state)
{
    struct store *s = *state;
    struct store_command c = {.device = {1}, .key_id = {{2}}, .made = 5, .fresh = true, .bytes = {3}};
    struct other_server other = {.c = c};
    bool replicated;
    pthread_t thread;
    if (ops->room(s, STORE_RECOVERY) == 0)
        return; /* a SQLite store has one writer */
    other.c.bytes[0] = 4;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    let_other_put(&other, &thread);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_OK);
    pthread_join(thread, NULL);
    assert_int_equal(other.err, ERR_CONFLICT);
    ops->abandon(other.s, STORE_RECOVERY);
    expect_waiting(s, &c, false);
    ops->close(other.s);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(test_orders_wait_until_they_are_done),
        STORE_TEST(test_whose_loss_an_order_is),
        STORE_TEST(test_another_device_may_answer),
        STORE_TEST(test_the_newest_holder_comes_first),
        STORE_TEST(test_what_was_answered),
        STORE_TEST(test_two_servers_close_what_they_read),
        STORE_TEST(test_two_servers_order_at_once),
    };
    return run_suite(argc, argv, &(struct store_suite){.test = tests, .n = sizeof tests / sizeof tests[0]});
}
