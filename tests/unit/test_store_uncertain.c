/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which keys may have been disclosed in a window of time. */
#include "tests/unit/store_fixture.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A key of one device and volume 0: made when its device says so, received when we say so. */
static void put_key(struct store *s, uint8_t name, uint64_t made, uint64_t received)
{
    struct made m;
    struct store_record r = make_record(1, 1, name, name);
    char key[GUID_TEXT];
    bool is_new;
    snprintf(key, sizeof key, "000000%02X-0000-0000-0000-000000000000", name);
    r.received_us = received * 1000000;
    m = (struct made){.e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = made}};
    memset(m.bytes, name, sizeof m.bytes);
    memset(m.e.device, 1, sizeof m.e.device);
    m.e.commitment[0] = name;
    assert_int_equal(guid_decode(key, strlen(key), &m.e.key_id), ERR_OK);
    r.r.envelope = m.bytes;
    r.r.envelope_len = sizeof m.bytes;
    assert_int_equal(ops->record_put(s, STORE_RECOVERY, &r, &is_new), ERR_OK);
    assert_int_equal(ops->envelope_put(s, &r, &m.e), ERR_OK);
}

static void put_device_one(struct store *s)
{
    struct store_device d = {.approved = DEVICE_APPROVED};
    memset(d.id, 1, sizeof d.id);
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
}

/* Which keys may have been disclosed between 100 and 200? One volume's, in the order in which they came. */
static void test_keys_of_a_window(void **state)
{
    static const struct {
        const char *name;
        uint64_t made, received;
        bool lost, wanted;
    } rows[] = {{"replaced long before", 10, 10, false, false},
                {"the one that was there when it began", 20, 20, false, true},
                {"made within", 150, 150, false, true},
                {"made within, and brought again", 160, 300, false, true},
                {"by a clock of tomorrow, and brought again", 900, 301, true, true},
                {"by a clock of yesterday", 5, 302, false, true},
                {"made after it", 310, 310, false, false}};
    const struct store_window window = {100, 200};
    const uint8_t zero[32] = {0};
    uint8_t last[32];
    struct store *s = *state;
    struct store_uncertain got[8];
    struct store_command c = {.key_id = {{0, 0, 0, 3}}, .made = 5};
    unsigned n, at = 0;
    put_device_one(s);
    for (uint8_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct store_record r = make_record(1, 1, (uint64_t)i + 1, (uint8_t)(i + 1));
        put_key(s, (uint8_t)(i + 1), rows[i].made, rows[i].received);
        if (rows[i].lost)
            assert_int_equal(ops->flag_put(s, "lost", &r), ERR_OK);
    }
    memset(c.device, 1, sizeof c.device);
    memset(last, 1, sizeof last);
    assert_int_equal(guid_decode("00000003-0000-0000-0000-000000000000", 36, &c.key_id), ERR_OK);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->uncertain(s, &window, zero, last, 8, got, &n), ERR_OK);
    for (uint8_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char key[GUID_TEXT] = "", want[GUID_TEXT];
        snprintf(want, sizeof want, "000000%02X-0000-0000-0000-000000000000", i + 1);
        if (at < n)
            guid_encode(&got[at].key_id, key);
        bool there = at < n && strcmp(key, want) == 0;
        if (there != rows[i].wanted)
            fail_msg("%s: %d", rows[i].name, there);
        if (there && got[at].order != (i == 2 ? STORE_ORDER_WAITS : STORE_NO_ORDER))
            fail_msg("%s: order %d", rows[i].name, (int)got[at].order);
        at += there;
    }
    assert_int_equal(at, n);
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 6), ERR_OK);
    assert_int_equal(ops->uncertain(s, &window, zero, last, 2, got, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[1].order, STORE_ORDER_DONE);
    assert_int_equal(ops->uncertain(s, &window, last, last, 8, got, &n), ERR_OK);
    assert_int_equal(n, 0);
}

/* A clock that is behind dates every key into the window: those after the order that replaced one are new. */
static void test_a_slow_clock_is_believed_once(void **state)
{
    const struct store_window window = {100, 200};
    const uint8_t zero[32] = {0};
    struct store *s = *state;
    struct store_command c = {.made = 220};
    struct store_uncertain got[4];
    unsigned n;
    put_device_one(s);
    memset(c.device, 1, sizeof c.device);
    put_key(s, 1, 150, 210);
    put_key(s, 2, 151, 215); /* lost once, and brought again before the order */
    put_key(s, 3, 152, 225);
    assert_int_equal(guid_decode("00000001-0000-0000-0000-000000000000", 36, &c.key_id), ERR_OK);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->uncertain(s, &window, zero, c.device, 4, got, &n), ERR_OK);
    assert_int_equal(n, 3); /* it waits: nothing was replaced yet */
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 230), ERR_OK);
    assert_int_equal(ops->uncertain(s, &window, zero, c.device, 4, got, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[0].key_id.bytes[0] + got[1].key_id.bytes[0], 1 + 2);
    struct store_window later = {100, 221}; /* that order was made within it */
    assert_int_equal(ops->uncertain(s, &later, zero, c.device, 4, got, &n), ERR_OK);
    assert_int_equal(n, 3);
}

#define MANY_KEYS 6000

/* Judging one key after the other would take a minute for what takes a moment. */
static void test_many_keys_of_one_device(void **state)
{
    const struct store_window window = {100, 200};
    const uint8_t zero[32] = {0};
    struct store *s = *state;
    struct store_record r = make_record(1, 1, 1, 1);
    struct store_uncertain got[8];
    struct timespec from, to;
    unsigned n;
    put_device_one(s);
    for (uint32_t i = 0; i < MANY_KEYS; i++) {
        struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = 150};
        memcpy(e.device, r.r.device, 32);
        memcpy(e.key_id.bytes, &i, sizeof i);
        r.r.envelope = e.key_id.bytes;
        r.r.envelope_len = sizeof e.key_id.bytes;
        r.received_us = 150000000 + i;
        assert_int_equal(ops->envelope_put(s, &r, &e), ERR_OK);
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(ops->uncertain(s, &window, zero, r.r.device, 8, got, &n), ERR_OK);
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_int_equal(n, STORE_EACH);
    assert_int_equal(got[0].n, MANY_KEYS);
    assert_int_equal(got[1].n, 0);
    assert_true(to.tv_sec - from.tv_sec < 6); /* 40 ms; it was 16 s */
    struct store_command c = {.key_id = got[0].key_id, .made = 5};
    memcpy(c.device, r.r.device, 32);
    assert_int_equal(ops->command_put(s, &c),
                     ERR_OK); /* behind what is ordered come the others, all of them */
    assert_int_equal(ops->uncertain(s, &window, zero, c.device, 8, got, &n), ERR_OK);
    assert_int_equal(n, 1 + STORE_EACH);
    assert_int_equal(got[0].order, STORE_ORDER_WAITS);
    assert_int_equal(got[0].n, 1);
    assert_int_equal(got[1].n, MANY_KEYS - 1);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(test_keys_of_a_window),
        STORE_TEST(test_a_slow_clock_is_believed_once),
        STORE_TEST(test_many_keys_of_one_device),
    };
    return run_suite(argc, argv, &(struct store_suite){.test = tests, .n = sizeof tests / sizeof tests[0]});
}
