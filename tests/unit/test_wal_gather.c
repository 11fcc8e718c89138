/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A log whose frames are gathered: what a commit said is in the files, also for whoever looks at them with
 * SQLite's own file system, in another connection or after a crash; a write that fails fails its transaction.
 */
#include "escrow-server/store/cwd_vfs.h"
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define ROWS 2000 /* 1 MB: many times what is gathered */

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/keyholt-gather-XXXXXX");
    return mkdtemp(dir) != NULL ? chdir(dir) : -1;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int remove_dir(void **state)
{
    (void)state;
    return chdir("/") == 0 ? nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS) : -1;
}

static int try_sql(sqlite3 *c, const char *sql)
{
    return sqlite3_exec(c, sql, NULL, NULL, NULL);
}

static void must(sqlite3 *c, const char *sql)
{
    if (try_sql(c, sql) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(c));
}

/* A cache of 20 pages: most of a transaction lies in the log before it is committed, and is read from there.
 */
static sqlite3 *open_gathered(void)
{
    sqlite3 *c = NULL;
    assert_int_equal(sqlite3_open_v2("t.db", &c, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, cwd_vfs()),
                     SQLITE_OK);
    must(
        c,
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=20; PRAGMA wal_autocheckpoint=0;"
        "CREATE TABLE IF NOT EXISTS t (a BLOB PRIMARY KEY, b BLOB) WITHOUT ROWID");
    return c;
}

static void add_rows(sqlite3 *c)
{
    char sql[200];
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
             " INSERT INTO t SELECT randomblob(32), zeroblob(400) FROM n",
             ROWS);
    must(c, sql);
}

static int number(sqlite3 *c, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(c, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int n = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return n;
}

static void check_rows(sqlite3 *c, int rows)
{
    assert_int_equal(number(c, "SELECT count(*) FROM t"), rows);
    assert_int_equal(number(c, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

/* As they are now, while nobody closed anything: what a power cut would leave of what was synced. */
static void check_copy(int rows)
{
    sqlite3 *c = NULL;
    assert_int_equal(system("rm -f copy.db* && cp t.db copy.db && cp t.db-wal copy.db-wal"), 0);
    assert_int_equal(sqlite3_open("copy.db", &c), SQLITE_OK);
    check_rows(c, rows);
    sqlite3_close(c);
}

static void test_a_commit_is_in_the_files(void **state)
{
    (void)state;
    sqlite3 *c = open_gathered(), *other = NULL;
    assert_int_equal(sqlite3_open("t.db", &other), SQLITE_OK);
    for (int n = 1; n <= 3; n++) {
        must(c, "BEGIN IMMEDIATE");
        add_rows(c);
        check_rows(other, (n - 1) * ROWS);
        check_rows(c, n * ROWS); /* reads what was gathered */
        must(c, "COMMIT");
        check_rows(other, n * ROWS);
        check_copy(n * ROWS);
        must(c, n == 2 ? "PRAGMA wal_checkpoint(TRUNCATE)" : "PRAGMA wal_checkpoint(PASSIVE)");
    }
    sqlite3_close(c);
    check_rows(other, 3 * ROWS);
    sqlite3_close(other);
}

static void test_what_is_undone_leaves_nothing(void **state)
{
    (void)state;
    sqlite3 *c = open_gathered();
    add_rows(c);
    for (int n = 0; n < 2; n++) {
        must(c, "BEGIN IMMEDIATE; SAVEPOINT s");
        add_rows(c);
        must(c, n == 0 ? "ROLLBACK" : "ROLLBACK TO s; RELEASE s; COMMIT");
        check_rows(c, ROWS);
    }
    must(c, "DELETE FROM t WHERE a < X'80'; INSERT INTO t VALUES (zeroblob(5), zeroblob(9))");
    check_copy(number(c, "SELECT count(*) FROM t"));
    sqlite3_close(c);
}

/* No file may grow any more. */
static void limit(rlim_t len)
{
    struct rlimit l;
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = len;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void test_a_failed_write_fails_its_commit(void **state)
{
    (void)state;
    sqlite3 *c = open_gathered();
    signal(SIGXFSZ, SIG_IGN);
    add_rows(c);
    must(c, "BEGIN IMMEDIATE; PRAGMA cache_size=10000"); /* nothing is written before the commit */
    add_rows(c);
    limit(64 * 1024);
    assert_int_not_equal(try_sql(c, "COMMIT"), SQLITE_OK);
    limit(RLIM_INFINITY);
    (void)try_sql(c, "ROLLBACK");
    check_rows(c, ROWS);
    add_rows(c);
    check_rows(c, 2 * ROWS);
    check_copy(2 * ROWS);
    sqlite3_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_commit_is_in_the_files, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_what_is_undone_leaves_nothing, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_a_failed_write_fails_its_commit, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
