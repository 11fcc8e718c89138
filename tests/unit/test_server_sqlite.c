/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite ends a transaction by itself where the disk is full. What comes behind it in the same batch must be
 * no transaction of its own: the batch is answered as one that failed. */
#include "escrow-server/store/store_db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static const struct store_ops *const ops = &store_sql;
static struct store *s;
static char dir[64];

#define ROOM 4 /* pages that the disk has left */
#define MUCH 100000

static int open_store(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/keyholt-sqlite-XXXXXX");
    const struct store_place place = {.dir = mkdtemp(dir)};
    return place.dir != NULL && ops->open(&place, &s) == ERR_OK ? 0 : -1;
}

static int close_store(void **state)
{
    char path[sizeof dir + 32];
    (void)state;
    ops->close(s);
    for (unsigned i = 0; i < STORE_HALVES; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, store_sqlite_file[i]);
        if (unlink(path) != 0)
            return -1;
    }
    return rmdir(dir);
}

static uint64_t pragma(const char *text)
{
    struct db *d = s->db[STORE_RECOVERY];
    assert_int_equal(d->ops->prepare(d, SQL_FREE_1, text), ERR_OK);
    QUERY(q, s, STORE_RECOVERY, SQL_FREE_1, "pragma");
    assert_int_equal(query_row(&q), ERR_OK);
    return column_u64(&q, 0);
}

/* The disk takes so many pages more. */
static void leave_room(uint64_t pages)
{
    char text[64];
    (void)ops->tend(s); /* what was read is no transaction any more */
    snprintf(text, sizeof text, "PRAGMA max_page_count = %llu",
             (unsigned long long)(pragma("PRAGMA page_count") + pages));
    (void)pragma(text);
    (void)ops->tend(s);
}

static enum err put(uint8_t name, size_t len)
{
    static const uint8_t bytes[MUCH];
    struct store_record r = {.bytes = bytes, .len = len, .name = {name}, .received_us = name};
    bool is_new;
    r.r.device[0] = name;
    r.r.sequence = 1;
    return ops->record_put(s, STORE_RECOVERY, &r, &is_new);
}

static enum err has(uint8_t name, bool *ret)
{
    const uint8_t device[32] = {name}, incarnation[16] = {0};
    return ops->has_sequence(s, STORE_RECOVERY, device, incarnation, 1, ret);
}

static bool is_there(uint8_t name)
{
    bool there = false;
    assert_int_equal(has(name, &there), ERR_OK);
    return there;
}

static void mark(void)
{
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_OK);
}

/* The first request of the batch fits, the second one ends the transaction. */
static void fill_the_disk(bool marked)
{
    leave_room(ROOM);
    assert_int_equal(ops->begin(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(put(1, 10), ERR_OK);
    if (marked)
        mark();
    assert_int_equal(put(2, MUCH), ERR_FULL);
}

static void check_nothing_stayed(void)
{
    bool replicated;
    for (uint8_t i = 1; i <= 4; i++)
        if (is_there(i))
            fail_msg("record %u is there", i);
    leave_room(MUCH);
    assert_int_equal(ops->begin(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(put(5, MUCH), ERR_OK);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_OK);
    assert_true(is_there(5)); /* the next batch is as good as any */
}

static void test_what_follows_is_not_durable(void **state)
{
    const uint8_t id[32] = {1}, hash[32] = {1};
    const struct msg_token token = {.expires = 9, .uses = 1};
    bool there, replicated;
    (void)state;
    fill_the_disk(false);
    assert_int_equal(put(3, 10), ERR_FULL);
    assert_int_equal(ops->token_put(s, &token, 1), ERR_FULL);
    assert_int_equal(ops->token_use(s, hash, 1, true), ERR_FULL); /* nor "0 rows changed" */
    assert_int_equal(ops->device_seen(s, id, 1, NULL), ERR_FULL);
    assert_int_equal(has(1, &there), ERR_FULL); /* nor is what is gone said not to be there */
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_FULL);
    assert_int_equal(ops->release(s, STORE_RECOVERY), ERR_FULL);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_FULL);
    check_nothing_stayed();
}

/* As the writer has it: the request that failed is undone, and the next one begins. */
static void test_undo_does_not_begin_anew(void **state)
{
    bool replicated;
    (void)state;
    fill_the_disk(true);
    ops->undo(s, STORE_RECOVERY);
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_FULL);
    assert_int_equal(put(3, 10), ERR_FULL);
    ops->undo(s, STORE_RECOVERY);
    assert_int_equal(put(4, 10), ERR_FULL);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_FULL);
    check_nothing_stayed();
}

static void test_given_up_it_is_over(void **state)
{
    (void)state;
    fill_the_disk(true);
    ops->abandon(s, STORE_RECOVERY);
    check_nothing_stayed();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_what_follows_is_not_durable),
                                       TEST(test_undo_does_not_begin_anew), TEST(test_given_up_it_is_over)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
