/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite files of every older version, with rows in every table, are brought forward: each row is what it
 * was, and a file that could not be brought forward is what it was, too. */
#include "tests/unit/migrate_fixture.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_every_row_stays(void **state)
{
    for (int version = 1; version < SQL_SQLITE_VERSION; version++) {
        struct before b[STORE_HALVES];
        assert_int_equal(make_dir(state), 0);
        for (unsigned half = 0; half < STORE_HALVES; half++) {
            make_older(half, version, ROWS);
            b[half] = look(half);
            assert_true(b[half].had.n >= 2);
            for (unsigned i = 0; i < b[half].had.n; i++)
                assert_true(atoi(b[half].had.text[i]) > 0); /* something is in each */
        }
        assert_int_equal(open_and_close(NULL), ERR_OK);
        for (unsigned half = 0; half < STORE_HALVES; half++) {
            assert_int_equal(version_of(half), SQL_SQLITE_VERSION);
            check_same(half, &b[half]);
            check_sound(half);
            forget(&b[half]);
        }
        assert_int_equal(remove_dir(state), 0);
    }
}

/* Killed at that call of `working`. Returns whether there was one. */
static bool killed(unsigned at)
{
    int status;
    calls = 0;
    die_at = at;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(open_and_close(count) == ERR_OK ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

/* At any moment the file is that of one version or of another, whole. */
static void test_killed_meanwhile(void **state)
{
    unsigned n = 0;
    int version = 5;
    assert_int_equal(make_dir(state), 0);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        make_older(half, version, MANY);
    struct before recovery = look(STORE_RECOVERY), compliance = look(STORE_COMPLIANCE);
    for (unsigned at = 1; killed(at); at += 1 + at / 4, n += version == 5) {
        assert_true(version_of(STORE_RECOVERY) >= version);
        version = version_of(STORE_RECOVERY);
        check_same(STORE_RECOVERY, &recovery);
        check_same(STORE_COMPLIANCE, &compliance);
    }
    assert_true(n >= 2); /* amid the copying, too */
    check_same(STORE_RECOVERY, &recovery);
    check_same(STORE_COMPLIANCE, &compliance);
    check_sound(STORE_RECOVERY);
    check_sound(STORE_COMPLIANCE);
    forget(&recovery);
    forget(&compliance);
    assert_int_equal(remove_dir(state), 0);
}

/* What retention takes away later is not left behind in what was the table before. */
static void test_nothing_of_the_old_tables_is_left(void **state)
{
    char path[sizeof dir + 32];
    static const char mark[] = "SOMEBODYS-NAME-9Z";
    unsigned n = 0;
    assert_int_equal(make_dir(state), 0);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        make_older(half, 5, ROWS);
    sqlite3 *db = open_file(STORE_COMPLIANCE);
    exec(db, "UPDATE records SET bytes = CAST('SOMEBODYS-NAME-9Z' AS BLOB)");
    sqlite3_close(db);
    assert_int_equal(open_and_close(NULL), ERR_OK);
    db = open_file(STORE_COMPLIANCE);
    exec(db,
         "PRAGMA secure_delete=ON; DELETE FROM records WHERE rowid > 0"); /* not by cutting the table off */
    sqlite3_close(db);
    snprintf(path, sizeof path, "%s/%s", dir, store_sqlite_file[STORE_COMPLIANCE]);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t at = 0, c; (c = (size_t)fgetc(f)) != (size_t)EOF;) {
        at = c == (unsigned char)mark[at] ? at + 1 : c == (unsigned char)mark[0];
        if (at == sizeof mark - 1) {
            n++;
            at = 0;
        }
    }
    fclose(f);
    assert_int_equal(n, 0);
    assert_int_equal(remove_dir(state), 0);
}

/* Who has the file open keeps it from being taken out of the log, and reads on what was there. */
static void test_beside_a_reader(void **state)
{
    assert_int_equal(make_dir(state), 0);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        make_older(half, 5, ROWS);
    struct before recovery = look(STORE_RECOVERY);
    sqlite3 *reader = open_file(STORE_RECOVERY);
    exec(reader, "BEGIN; SELECT count(*) FROM records");
    assert_int_equal(open_and_close(NULL), ERR_OK);
    struct texts n = ask(reader, "SELECT count(*) FROM sqlite_master WHERE name = 'records_chain'");
    assert_string_equal(n.text[0], "1");
    free_texts(&n);
    sqlite3_close(reader);
    assert_int_equal(version_of(STORE_RECOVERY), SQL_SQLITE_VERSION);
    check_same(STORE_RECOVERY, &recovery);
    check_sound(STORE_RECOVERY);
    forget(&recovery);
    assert_int_equal(remove_dir(state), 0);
}

static off_t size_of_log(enum store_half half)
{
    char path[sizeof dir + 32];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s-wal", dir, store_sqlite_file[half]);
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* Who has the file open and reads nothing at the moment has it go through the log, which is emptied. */
static void test_the_log_is_left_empty(void **state)
{
    assert_int_equal(make_dir(state), 0);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        make_older(half, 5, MANY);
    sqlite3 *reader = open_file(STORE_COMPLIANCE);
    exec(reader, "SELECT count(*) FROM records");
    assert_int_equal(open_and_close(NULL), ERR_OK);
    assert_int_equal(size_of_log(STORE_COMPLIANCE), 0);
    sqlite3_close(reader);
    assert_int_equal(version_of(STORE_COMPLIANCE), SQL_SQLITE_VERSION);
    check_sound(STORE_COMPLIANCE);
    assert_int_equal(remove_dir(state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_stays),
        cmocka_unit_test(test_killed_meanwhile),
        cmocka_unit_test(test_nothing_of_the_old_tables_is_left),
        cmocka_unit_test(test_beside_a_reader),
        cmocka_unit_test(test_the_log_is_left_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
