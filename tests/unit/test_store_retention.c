/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Retention: whole months go from the compliance store, and their room is used again. */
#include "crypto/hash.h"
#include "tests/unit/store_fixture.h"
#include <stdio.h>
#include <string.h>

/* No step of retention looks through a table: what it takes does not grow with the store. */
static void check_retention_plans(void)
{
    static const enum sql steps[] = {SQL_RETAINED, SQL_FORGET, SQL_RETAIN, SQL_RETAIN_EVENTS};
    char sql[1200];
    sqlite3 *db = open_file("compliance.db");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *stmt = NULL;
        unsigned n = 0;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sql_sqlite[steps[i]].text);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(stmt, 3);
            n += strstr(plan, "_old (received_us<?)") != NULL;
            if (strncmp(plan, "SCAN records", 12) == 0 || strncmp(plan, "SCAN events", 11) == 0)
                fail_msg("%s: %s", sql, plan);
        }
        assert_true(n > 0);
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
}

#define MONTH_RECORDS 3000

/* A month comes, and the month before the last one goes; returns the file's pages. */
static uint64_t turn_month(struct store *s, unsigned month)
{
    static const uint8_t bytes[500] = "a report";
    const uint64_t month_us = 31ull * 86400 * 1000000;
    bool is_new, replicated, more = true;
    assert_int_equal(ops->begin(s, STORE_COMPLIANCE), ERR_OK);
    for (unsigned i = 0; i < MONTH_RECORDS; i++) {
        struct store_record r = make_record((uint8_t)i, 1, month * MONTH_RECORDS + i + 1, 1);
        r.bytes = bytes;
        r.len = sizeof bytes;
        r.r.event = EVENT_BOOT_RECOVERY;
        r.received_us = month * month_us + i;
        /* as a hash would: anywhere in the tree */
        assert_int_equal(cr_sha256(&(uint64_t){r.r.sequence}, 8, r.name), ERR_OK);
        assert_int_equal(ops->record_put(s, STORE_COMPLIANCE, &r, &is_new), ERR_OK);
        assert_int_equal(ops->event_put(s, &r), ERR_OK);
    }
    assert_int_equal(ops->commit(s, STORE_COMPLIANCE, &replicated), ERR_OK);
    while (month > 0 && more) {
        assert_int_equal(ops->begin(s, STORE_COMPLIANCE), ERR_OK);
        assert_int_equal(ops->retain(s, month * month_us, 77, &more), ERR_OK);
        assert_int_equal(ops->commit(s, STORE_COMPLIANCE, &replicated), ERR_OK);
    }
    return ask_file("compliance.db", "PRAGMA page_count");
}

/* In SQLite months have no tables of their own; their pages are used again, and nothing is looked through. */
static void test_a_months_room_is_used_again(void **state)
{
    struct store *s = NULL;
    assert_int_equal(make_place(state), 0);
    assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
    (void)turn_month(s, 0);
    const uint64_t full = turn_month(s, 1);
    for (unsigned month = 2; month < 6; month++)
        assert_true(turn_month(s, month) <= full + full / 10);
    assert_int_equal(ask_file("compliance.db", "SELECT count(*) FROM records"), MONTH_RECORDS);
    check_retention_plans();
    ops->close(s);
    assert_int_equal(remove_place(state), 0);
}

/* Retention takes whole months of the compliance store, leaves its word, and makes no gap in a chain. */
static void test_retention(void **state)
{
    struct store *s = *state;
    const uint64_t feb_us = 31ull * 86400 * 1000000, mar_us = 59ull * 86400 * 1000000;
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(1, 1, 2, 2), make_record(1, 1, 3, 3),
                               make_record(2, 1, 1, 4), make_record(3, 1, 7, 5)};
    const uint64_t received[] = {5, feb_us + 5, mar_us + 5, feb_us - 1, feb_us};
    struct store_known k;
    uint64_t records = 0, events = 0;
    bool more, is_new, fork;
    for (size_t i = 0; i < 5; i++) {
        r[i].received_us = received[i];
        r[i].r.event = EVENT_BOOT_RECOVERY;
        assert_int_equal(ops->record_put(s, STORE_COMPLIANCE, &r[i], &is_new), ERR_OK);
        assert_int_equal(ops->record_put(s, STORE_RECOVERY, &r[i], &is_new), ERR_OK);
        if (i != 2)
            assert_int_equal(ops->event_put(s, &r[i]), ERR_OK);
    }
    assert_int_equal(ops->retained(s, mar_us, &records, &events), ERR_NOT_FOUND);
    do
        assert_int_equal(ops->retain(s, mar_us, 77, &more), ERR_OK);
    while (more);
    assert_int_equal(ops->retained(s, mar_us, &records, &events), ERR_OK);
    assert_int_equal(records, 4);
    assert_int_equal(events, 4);
    assert_int_equal(ops->known(s, STORE_COMPLIANCE, r[0].r.device, &k), ERR_OK);
    assert_int_equal(k.sequence, 3); /* what is there goes before what was there */
    assert_int_equal(ops->known(s, STORE_COMPLIANCE, r[4].r.device, &k), ERR_OK);
    assert_int_equal(k.sequence, 7);
    assert_memory_equal(k.name, r[4].name, 32);
    for (size_t i = 0; i < 5; i++) {
        assert_true(has_in(s, STORE_COMPLIANCE, &r[i]));
        assert_int_equal(ops->record_put(s, STORE_RECOVERY, &r[i], &is_new), ERR_OK);
        assert_false(is_new); /* the other half is not touched */
        assert_int_equal(ops->forked(s, STORE_COMPLIANCE, &r[i], &fork), ERR_OK);
        assert_false(fork);
    }
    struct store_record next = make_record(3, 1, 8, 9), beyond = make_record(3, 1, 10, 10);
    assert_false(has_in(s, STORE_COMPLIANCE, &next));
    assert_false(has_in(s, STORE_COMPLIANCE, &beyond));
    assert_int_equal(ops->retain(s, mar_us, 78, &more), ERR_OK); /* nothing more to do */
    assert_int_equal(ops->retained(s, mar_us, &records, &events), ERR_OK);
    assert_int_equal(records, 4);
}

/* More than one step takes. */
static void test_retention_in_steps(void **state)
{
    struct store *s = *state;
    const uint64_t feb_us = 31ull * 86400 * 1000000;
    uint64_t records = 0, events = 0;
    bool more, is_new;
    for (unsigned i = 0; i < SQL_RETAIN_STEP + 5; i++) {
        struct store_record r = make_record(1, 1, i + 1, 1);
        memcpy(r.name, &i, sizeof i);
        r.received_us = i;
        assert_int_equal(ops->record_put(s, STORE_COMPLIANCE, &r, &is_new), ERR_OK);
    }
    do
        assert_int_equal(ops->retain(s, feb_us, 77, &more), ERR_OK);
    while (more);
    assert_int_equal(ops->retained(s, feb_us, &records, &events), ERR_OK);
    assert_int_equal(records, SQL_RETAIN_STEP + 5);
    struct store_record last = make_record(1, 1, SQL_RETAIN_STEP + 5, 1);
    assert_true(has_in(s, STORE_COMPLIANCE, &last));
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(test_retention),
        STORE_TEST(test_retention_in_steps),
        cmocka_unit_test(test_a_months_room_is_used_again),
    };
    const struct store_suite suite = {
        .test = tests, .n = sizeof tests / sizeof tests[0], .n_durable = 1, .n_files = 1};
    return run_suite(argc, argv, &suite);
}
