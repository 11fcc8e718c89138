/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cache keeps of a key's end, by the server's clock: the latest order that came, and when a server
 * first had it that the key was replaced. */
#include "agent/state/cache.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static char dir[] = "/tmp/keyholt-cache-XXXXXX", path[64], command[128];
static struct cache *c;
static const struct guid key = {{1}};
static const uint8_t first[32] = {'a'}, second[32] = {'b'};

static int setup(void **state)
{
    struct cache_key k = {.key_id = key, .volume = {{9}}, .state = KEY_LIVE, .slot = -1, .made = 1};
    (void)state;
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/cache.db", dir);
    assert_int_equal(cache_open(path, &c), ERR_OK);
    assert_int_equal(cache_put_key(c, &k), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cache_close(c);
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

static struct cache_key get(void)
{
    struct cache_key k = {0};
    assert_int_equal(cache_get_key(c, &key, &k), ERR_OK);
    return k;
}

/* A record says that the key was replaced. */
static void replaced(const uint8_t name[static 32])
{
    const uint8_t bytes[RECORD_HEADER] = {name[0]};
    assert_int_equal(cache_add_record(c, RECORD_EVENT, name, bytes, sizeof bytes, NULL), ERR_OK);
    assert_int_equal(cache_put_rotation(c, &key, name), ERR_OK);
}

static void receipted(uint64_t time, const uint8_t name[static 32])
{
    const struct receipt of = {.class = RECEIPT_LOCAL, .time = time, .n = 1, .names = name};
    unsigned n;
    assert_int_equal(cache_add_receipt(c, (const uint8_t *)"R", 1, &of, &n), ERR_OK);
}

static void the_latest_order_counts(void **state)
{
    static const uint64_t rows[][2] = {{5, 5}, {3, 5}, {7, 7}, {7, 7}};
    (void)state;
    struct cache_key k = get(), keys[CACHE_KEYS];
    unsigned n;
    assert_true(k.ordered == 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(cache_key_ordered(c, &key, rows[i][0]), ERR_OK);
        assert_int_equal(cache_put_key(c, &k), ERR_OK); /* as somebody read it before */
        assert_int_equal(get().ordered, rows[i][1]);
    }
    assert_int_equal(cache_keys(c, &k.volume, keys, &n), ERR_OK);
    assert_true(n == 1 && keys[0].ordered == 7);
    assert_int_equal(cache_key_ordered(c, &(struct guid){{2}}, 9), ERR_OK);
    assert_int_equal(get().ordered, 7);
}

/* Whatever is said of the key later, or again; and whoever says it. */
static void the_first_receipt_counts(void **state)
{
    (void)state;
    replaced(first);
    assert_int_equal(get().known, 0);
    receipted(100, first);
    assert_int_equal(get().known, 100);
    assert_int_equal(cache_resend_rotation(c, &key),
                     ERR_OK); /* it is on its way once more, and known still */
    assert_int_equal(get().known, 100);
    receipted(200, first);
    replaced(second);
    receipted(300, second);
    assert_int_equal(cache_clear_rotations(c), ERR_OK);
    struct cache_key k = get();
    assert_int_equal(k.known, 100);
    k.known = 5;
    assert_int_equal(cache_put_key(c, &k), ERR_OK);
    assert_int_equal(get().known, 100);
    receipted(90, second); /* the clock of before was ahead */
    assert_int_equal(get().known, 90);
}

/* The record that was said last is not the one that a server had first. */
static void an_earlier_record_counts(void **state)
{
    (void)state;
    replaced(first);
    replaced(second);
    receipted(100, first);
    assert_int_equal(get().known, 100);
    receipted(300, second);
    assert_int_equal(get().known, 100);
}

/* A cache of before has the receipts, and says it by them. */
static void a_cache_of_before(void **state)
{
    static const char undo[] = "ALTER TABLE key DROP COLUMN ordered; ALTER TABLE key DROP COLUMN known;"
                               "ALTER TABLE record DROP COLUMN replaced; PRAGMA user_version=7";
    sqlite3 *db;
    (void)state;
    replaced(first);
    receipted(100, first);
    cache_close(c);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, undo, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_int_equal(cache_open(path, &c), ERR_OK);
    struct cache_key k = get();
    assert_true(k.known == 100 && k.ordered == 0);
    receipted(50, first);
    assert_int_equal(get().known, 50);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_latest_order_counts),
        T(the_first_receipt_counts),
        T(an_earlier_record_counts),
        T(a_cache_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
