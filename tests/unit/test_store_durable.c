/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What outlives a store that is closed: what was committed, and what older versions made. */
#include "tests/unit/store_fixture.h"
#include <stdio.h>
#include <string.h>

static void reopen(void **state)
{
    struct store *s = NULL;
    ops->close(*state);
    assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
    *state = s;
}

static bool has(struct store *s, const struct store_record *r)
{
    return has_in(s, STORE_RECOVERY, r);
}

/* What was committed is there for whoever opens the store next, and nothing else. */
static void test_only_what_was_committed_stays(void **state)
{
    struct store_record kept = make_record(1, 1, 1, 1), given_up = make_record(1, 1, 2, 2),
                        cut_off = make_record(1, 1, 3, 3);
    bool is_new, replicated;
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &kept, &is_new), ERR_OK);
    assert_int_equal(ops->commit(*state, STORE_RECOVERY, &replicated), ERR_OK);
    assert_false(replicated);
    assert_int_equal(ops->begin(*state, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &given_up, &is_new), ERR_OK);
    ops->abandon(*state, STORE_RECOVERY);
    assert_int_equal(ops->begin(*state, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &cut_off, &is_new), ERR_OK);
    reopen(state);
    assert_true(has(*state, &kept));
    assert_false(has(*state, &given_up));
    assert_false(has(*state, &cut_off));
}

static void set_version(enum store_half half, int version)
{
    static const char *const files[] = {"recovery.db", "compliance.db"};
    static const char *const schemas[] = {"keyholt_recovery", "keyholt_compliance"};
    char path[128], sql[128];
    sqlite3 *db = NULL;
    if (engine.url != NULL) {
        snprintf(sql, sizeof sql, "INSERT INTO %s.keyholt_schema VALUES (%d)", schemas[half], version);
        pg_do(sql);
        return;
    }
    snprintf(path, sizeof path, "%s/%s", engine.dir, files[half]);
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d", version);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* What the reader relies on: beside a transaction that is open it sees all that was committed before it
 * asked, nothing else, and waits for nothing; and it changes nothing. */
static void test_reading_beside_a_writer(void **state)
{
    struct store_place place = engine.place;
    struct store *reader = NULL;
    struct store_record first = make_record(1, 1, 1, 1), second = make_record(1, 1, 2, 2);
    struct store_device d = {.id = {9}, .computer = "pc"};
    bool is_new, replicated;
    place.reads = true;
    assert_int_equal(ops->open(&place, &reader), ERR_OK);
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &first, &is_new), ERR_OK);
    assert_false(has(reader, &first));
    (void)ops->tend(reader);
    assert_int_equal(ops->commit(*state, STORE_RECOVERY, &replicated), ERR_OK);
    assert_true(has(reader, &first));
    (void)ops->tend(reader);
    assert_int_equal(ops->begin(*state, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &second, &is_new), ERR_OK);
    assert_true(has(reader, &first));
    assert_false(has(reader, &second));
    (void)ops->tend(reader);
    ops->abandon(*state, STORE_RECOVERY);
    assert_int_equal(ops->begin(reader, STORE_RECOVERY), ERR_OK);
    if (ops->device_put(reader, &d) == ERR_OK) /* PostgreSQL may say it later */
        assert_int_not_equal(ops->commit(reader, STORE_RECOVERY, &replicated), ERR_OK);
    ops->close(reader);
    assert_int_equal(ops->device_get(*state, d.id, &d), ERR_NOT_FOUND);
}

static void test_nothing_is_made_by_reading(void **state)
{
    struct store *s = NULL;
    assert_int_equal(make_place(state), 0);
    struct store_place place = engine.place;
    place.reads = true;
    assert_int_not_equal(ops->open(&place, &s), ERR_OK);
    assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
    ops->close(s);
    set_version(STORE_COMPLIANCE, 1);
    assert_int_equal(ops->open(&place, &s), ERR_VERSION);
    assert_int_equal(remove_place(state), 0);
}

static void test_a_newer_database_is_refused(void **state)
{
    struct store *s = NULL;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(make_place(state), 0);
        assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
        ops->close(s);
        set_version(both[i], 999);
        assert_int_equal(ops->open(&engine.place, &s), ERR_VERSION);
        assert_int_equal(remove_place(state), 0);
    }
}

/* A file as a version made it, with a record. */
static void make_older(enum store_half half, int version)
{
    static const char *const files[] = {"recovery.db", "compliance.db"};
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/%s", engine.dir, files[half]);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (int i = 0; i < version; i++)
        assert_int_equal(sqlite3_exec(db, sql_sqlite_schema[half][i], NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO records VALUES (zeroblob(32),"
                                  " X'0101010101010101010101010101010101010101010101010101010101010101',"
                                  " X'01010101010101010101010101010101', 1, zeroblob(32), 1, 1, 1, X'00')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    set_version(half, version);
}

/* What a device can make long is found by an index, all the way, and not walked through. */
static void check_plans(void)
{
    static const struct {
        enum sql which;
        const char *index;
    } rows[] = {{SQL_FORKED,
                 "COVERING INDEX records_once (device=? AND incarnation=? AND sequence>? AND sequence<?)"},
                {SQL_HAS_SEQUENCE,
                 "COVERING INDEX records_once (device=? AND incarnation=? AND sequence>? AND sequence<?)"},
                {SQL_KNOWN, "SEARCH records USING INDEX records_last (device=?)"},
                {SQL_KNOWN, "SEARCH records USING INDEX records_once (device=? AND incarnation=?)"},
                {SQL_PACKAGES, "SEARCH records USING INDEX records_packages (device=?)"},
                {SQL_HAS_PACKAGE, "SEARCH records USING INDEX records_packages (device=? AND name=?)"},
                {SQL_MISSING, "SEARCH envelopes USING COVERING INDEX envelopes_once (sender=?)"},
                {SQL_HOLDERS, "SEARCH e USING INDEX envelopes_by_key (key_id=?)"},
                {SQL_HOLDERS, "SEARCH o USING INDEX envelopes_once (sender=? AND volume=?)"},
                {SQL_UNCERTAIN, "SEARCH o USING INDEX envelopes_once (sender>? AND sender<?)"},
                {SQL_DIGEST, "SEARCH envelopes USING COVERING INDEX envelopes_once (sender=?)"},
                {SQL_FIND, "SEARCH e USING INDEX envelopes_by_key (key_id>? AND key_id<?)"},
                {SQL_FIND, "INDEX envelopes_by_key (key_id=? AND sender=? AND own=?)"},
                {SQL_COMMAND_FORMER, "INDEX envelopes_by_key (key_id=? AND sender=? AND own=?)"},
                {SQL_COMMAND_OPEN, "INDEX commands_key (key_id=?)"},
                {SQL_LOSS_ORDERS, "INDEX commands_loss (loss=?)"},
                {SQL_LOSS_COUNT, "INDEX commands_loss (loss>? AND loss<?)"}};
    char sql[2048];
    sqlite3 *db = open_file("recovery.db");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sqlite3_stmt *stmt = NULL;
        bool found = false;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sql_sqlite[rows[i].which].text);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(stmt, 3);
            found = found || strstr(plan, rows[i].index) != NULL;
        }
        if (!found)
            fail_msg("%s: not by %s", sql, rows[i].index);
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
}

/* A file of any version keeps what it has. */
static void bring_forward(void **state, int version)
{
    struct store *s = NULL;
    struct store_record r = make_record(1, 1, 1, 1);
    bool there;
    assert_int_equal(make_place(state), 0);
    for (size_t i = 0; i < 2; i++)
        make_older(both[i], version);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(ops->has_sequence(s, both[i], r.r.device, r.r.incarnation, 1, &there), ERR_OK);
            assert_true(there);
        }
        ops->close(s);
    }
    check_plans();
    assert_int_equal(remove_place(state), 0);
}

static void test_an_older_database_is_brought_forward(void **state)
{
    for (int version = 1; version < SQL_SQLITE_VERSION; version++)
        bring_forward(state, version);
}

static unsigned n_working;

static void on_working(void)
{
    n_working++;
}

/* While a large file is brought forward whoever waits hears of it, and never again afterwards. */
static void test_a_long_migration_says_that_it_goes_on(void **state)
{
    char path[128];
    sqlite3 *db = NULL;
    struct store *s = NULL;
    assert_int_equal(make_place(state), 0);
    make_older(STORE_RECOVERY, 3);
    snprintf(path, sizeof path, "%s/recovery.db", engine.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60000)"
                     "INSERT INTO envelopes SELECT randomblob(32), randomblob(32), randomblob(32),"
                     " i, zeroblob(16), zeroblob(32), 1, zeroblob(32), '', '', 1, 1, X'00' FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    struct store_place place = engine.place;
    place.working = on_working;
    assert_int_equal(ops->open(&place, &s), ERR_OK);
    ops->close(s);
    assert_true(n_working > 3);
    n_working = 0;
    assert_int_equal(ops->open(&place, &s), ERR_OK);
    ops->close(s);
    assert_int_equal(n_working, 0);
    assert_int_equal(remove_place(state), 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(test_only_what_was_committed_stays),
        STORE_TEST(test_reading_beside_a_writer),
        cmocka_unit_test(test_a_newer_database_is_refused),
        cmocka_unit_test(test_an_older_database_is_brought_forward),
        cmocka_unit_test(test_a_long_migration_says_that_it_goes_on),
        cmocka_unit_test(test_nothing_is_made_by_reading),
    };
    const struct store_suite suite = {
        .test = tests, .n = sizeof tests / sizeof tests[0], .n_durable = 6, .n_files = 3};
    return run_suite(argc, argv, &suite);
}
