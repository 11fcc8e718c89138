/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests and records that wait together: they share a commit, and where one fails, it fails alone. */
#include "escrow-server/process/metrics.h"
#include "tests/unit/writer_fixture.h"
#include <string.h>
#include <time.h>
#include <unistd.h>

static time_t wall_ahead_s; /* somebody set the clock */

/* The linker puts it in the place of the one that the writer calls. */
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    int failed = __real_clock_gettime(clock, ret);
    if (clock == CLOCK_REALTIME)
        ret->tv_sec += wall_ahead_s;
    return failed;
}

static bool stored(const struct signed_record *r, uint64_t sequence)
{
    struct record header;
    bool there;
    assert_int_equal(record_decode(r->bytes, r->len, &header), ERR_OK);
    assert_int_equal(
        ops.has_sequence(w.store, STORE_COMPLIANCE, header.device, header.incarnation, sequence, &there),
        ERR_OK);
    return there;
}

/* Three requests in one commit; the one in the middle fails. The others keep their record and their receipt.
 */
static void test_a_failed_request_takes_no_other_with_it(void **state)
{
    static const struct {
        const char *name;
        unsigned mark, put;
    } rows[] = {{"no mark could be set", 2, 0}, {"the record could not be put", 0, 2}};
    (void)state;
    for (uint64_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct signed_record r[3];
        struct batch b = {.w = &w};
        uint8_t type;
        n_marks = n_puts = 0;
        fail_mark = rows[row].mark;
        fail_put = rows[row].put;
        for (uint64_t i = 0; i < 3; i++) {
            make_report(&device, 10 * row + i + 1, &r[i]);
            put_sync(&b, 100 + i, device.d.id, &r[i]);
        }
        batch_finish(&b);
        for (uint64_t i = 0; i < 3; i++) {
            bool got = receipted(100 + i, &r[i], &type), there = stored(&r[i], 10 * row + i + 1);
            if (got != (i != 1) || there != (i != 1))
                fail_msg("%s: request %u: receipt %d, stored %d", rows[row].name, (unsigned)i, got, there);
        }
    }
}

/* The records of a batch go in one turn; where one of them cannot be put, that one alone is not stored, and
 * has no receipt. One that comes twice is receipted twice. */
static void test_a_batch_in_one_turn(void **state)
{
    static const struct {
        const char *name;
        unsigned kept, poison, turns; /* poison: which one, 4: none */
        unsigned size;                /* of a turn, at first */
    } rows[] = {
        {"all of them", POSTED_MAX, 4, 1, 0},         {"the first fails", POSTED_MAX, 0, 5, 0},
        {"one amid them fails", POSTED_MAX, 1, 5, 0}, {"the last fails", POSTED_MAX, 3, 5, 0},
        {"there is room for two", 2, 4, 2, 0},        {"there is room for two, and one fails", 2, 1, 5, 0},
        {"one of the second two fails", 2, 2, 6, 0},  {"turns grow from one", POSTED_MAX, 4, 3, 1}};
    (void)state;
    for (uint64_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
        struct device d[3];
        struct signed_record r[4];
        struct batch b = {.w = &w};
        uint8_t type;
        bool replicated;
        take_turns(rows[row].kept);
        w.turn[STORE_COMPLIANCE] = rows[row].size;
        assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
        for (uint64_t i = 0; i < 3; i++) {
            make_device(&d[i]);
            d[i].d.approved = DEVICE_APPROVED;
            assert_int_equal(ops.device_put(w.store, &d[i].d), ERR_OK);
        }
        assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
        make_report(&device, 10 * row + 1, &r[0]);
        for (uint64_t i = 0; i < 3; i++)
            make_report(&d[i], 1, &r[i + 1]);
        if (rows[row].poison < 4)
            memcpy(turn.poison, r[rows[row].poison].name, 32);
        put_sync(&b, 100, device.d.id, &r[0]);
        for (uint64_t i = 0; i < 3; i++)
            put_sync(&b, 101 + i, d[i].d.id, &r[i + 1]);
        assert_int_equal(turn.turns, 0); /* they wait for each other */
        batch_finish(&b);
        for (uint64_t i = 0; i < 4; i++) {
            bool got = receipted(100 + i, &r[i], &type), there = stored(&r[i], i == 0 ? 10 * row + 1 : 1);
            if (got != (i != rows[row].poison) || there != got)
                fail_msg("%s: request %u: receipt %d, stored %d", rows[row].name, (unsigned)i, got, there);
        }
        if (turn.turns != rows[row].turns)
            fail_msg("%s: %u turns", rows[row].name, turn.turns);
        for (uint64_t i = 0; i < 3; i++)
            cr_p256_free(d[i].key);
    }
}

/* A turn shall take two seconds at most; it grows to no more than twice of what it was. */
static void test_the_size_of_a_turn(void **state)
{
    static const struct {
        unsigned size, n;
        int64_t took_ms;
        bool failed;
        unsigned want;
    } rows[] = {{16, 16, 0, false, 32},      {16, 16, 1, false, 32},       {64, 64, 10, false, 128},
                {128, 128, 10, false, 128},  {128, 128, 2000, false, 128}, {16, 16, 1280, false, 25},
                {25, 25, 2000, false, 25},   {25, 25, 4000, false, 12},    {16, 3, 240, false, 25},
                {128, 128, 10000, true, 25}, {16, 16, 1, true, 16},        {1, 1, 9000, false, 1},
                {1, 16, 9000, true, 1},      {1, 1, 100, false, 2}};
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned got = writer_turn_next(rows[i].size, rows[i].n, rows[i].took_ms, rows[i].failed);
        if (got != rows[i].want)
            fail_msg("row %u: %u", i, got);
    }
}

/* More records of one device than a turn has. */
static void test_one_request_takes_several_turns(void **state)
{
    static struct signed_record r[WRITER_TURN_FIRST + 2];
    static struct msg_sync m;
    struct batch b = {.w = &w};
    uint8_t type;
    (void)state;
    take_turns(POSTED_MAX);
    m = (struct msg_sync){.n = WRITER_TURN_FIRST + 2};
    memcpy(m.device, device.d.id, 32);
    for (unsigned i = 0; i < m.n; i++) {
        make_report(&device, i + 1, &r[i]);
        m.record[i] = (struct msg_blob){r[i].bytes, r[i].len};
    }
    take_sync(&b, 1, &m);
    batch_finish(&b);
    assert_true(receipted(1, &r[m.n - 1], &type));
    for (unsigned i = 0; i < m.n; i++)
        assert_true(stored(&r[i], i + 1));
    assert_int_equal(turn.turns, 2);
}

/* A device that got no answer in time asks again while its first request waits: it is stored once, in order,
 * and both are answered. */
static void test_a_batch_has_a_record_twice(void **state)
{
    struct signed_record r[2];
    struct batch b = {.w = &w};
    uint8_t type;
    (void)state;
    take_turns(POSTED_MAX);
    make_report(&device, 1, &r[0]);
    make_report(&device, 2, &r[1]);
    put_sync(&b, 1, device.d.id, &r[0]);
    put_sync(&b, 2, device.d.id, &r[0]);
    put_sync(&b, 3, device.d.id, &r[1]);
    batch_finish(&b);
    for (uint64_t i = 1; i <= 3; i++)
        assert_true(receipted(i, &r[i == 3], &type));
    assert_true(stored(&r[0], 1) && stored(&r[1], 2));
}

static enum err commit_while_the_clock_is_set(struct store *s, enum store_half half, bool *ret_replicated)
{
    wall_ahead_s += 7200;
    return store_sql.commit(s, half, ret_replicated);
}

/* How long a commit took is told by a clock that nobody sets. */
static void test_a_commit_takes_no_hours(void **state)
{
    const unsigned sum = METRIC_COMMIT_TIME + METRICS_BUCKETS; /* of the recovery store, and behind it: */
    const unsigned other = sum + METRICS_BUCKETS + 2;
    struct signed_record r;
    struct batch b = {.w = &w};
    uint8_t type;
    int fd;
    (void)state;
    assert_int_equal(metrics_create(&fd), ERR_OK);
    close(fd);
    ops.commit = commit_while_the_clock_is_set;
    make_report(&device, 1, &r);
    put_sync(&b, 1, device.d.id, &r);
    batch_finish(&b);
    assert_true(receipted(1, &r, &type));
    assert_true(metrics_sum(other + 1) >= 1); /* it was counted */
    assert_true(metrics_sum(sum) + metrics_sum(other) < 3600u * 1000000);
    wall_ahead_s = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_a_failed_request_takes_no_other_with_it),
        WRITER_TEST(test_a_batch_in_one_turn),
        WRITER_TEST(test_the_size_of_a_turn),
        WRITER_TEST(test_one_request_takes_several_turns),
        WRITER_TEST(test_a_batch_has_a_record_twice),
        WRITER_TEST(test_a_commit_takes_no_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
