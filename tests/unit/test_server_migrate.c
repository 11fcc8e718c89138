/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite files of every older version, with rows in every table, are brought forward: each row is what it
 * was, and a file that could not be brought forward is what it was, too. */
#include "escrow-server/store/store_db.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define ROWS  40
#define MANY  3000  /* some calls of `working` */
#define LARGE 30000 /* more than SQLite keeps in memory */
#define QUIET 64    /* pages read or written in a row that nobody hears of: opening a file takes some */
#define TEXTS 16
#define LONG  1024

static char dir[64];
static uint64_t disk_room = UINT32_MAX; /* bytes, as the disk says it */

/* In the C library's place. */
int statvfs(const char *path, struct statvfs *ret)
{
    assert_string_equal(path, dir);
    *ret = (struct statvfs){.f_bsize = 4096, .f_frsize = 1, .f_bavail = disk_room, .f_bfree = UINT32_MAX};
    return 0;
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/keyholt-migrate-XXXXXX");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    char path[sizeof dir + 32];
    (void)state;
    for (unsigned i = 0; i < STORE_HALVES; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, store_sqlite_file[i]);
        if (unlink(path) != 0)
            return -1;
    }
    return rmdir(dir); /* nothing else is left behind */
}

static sqlite3 *open_file(enum store_half half)
{
    char path[sizeof dir + 32];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, store_sqlite_file[half]);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void exec(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

/* What a query says, at most TEXTS lines. */
struct texts {
    char *text[TEXTS];
    unsigned n;
};

static int add_text(void *ctx, int n, char **value, char **name)
{
    struct texts *t = ctx;
    (void)n, (void)name;
    assert_true(t->n < TEXTS);
    t->text[t->n++] = strdup(value[0]);
    return 0;
}

static struct texts ask(sqlite3 *db, const char *sql)
{
    struct texts t = {.n = 0};
    char *why = NULL;
    if (sqlite3_exec(db, sql, add_text, &t, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    return t;
}

static void free_texts(struct texts *t)
{
    for (unsigned i = 0; i < t->n; i++)
        free(t->text[i]);
}

/* Rows in a table as the version has it: any bytes, texts and numbers, each row its own. */
static void fill_table(sqlite3 *db, const char *table, unsigned rows)
{
    char sql[LONG];
    snprintf(
        sql, sizeof sql,
        "SELECT group_concat(CASE WHEN name = 'bytes' THEN 'randomblob(600)' WHEN name = 'kind' AND type ="
        " 'INTEGER' OR name = 'own' THEN 'i %% 5' WHEN type = 'BLOB' THEN 'randomblob(32)' WHEN type ="
        " 'TEXT' THEN 'hex(randomblob(16))' WHEN pk = 1 THEN 'i' ELSE 'random() >> 20' END, ', ')"
        " FROM pragma_table_info('%s')",
        table);
    struct texts values = ask(db, sql);
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT %u)"
             " INSERT INTO %s SELECT %s FROM n",
             rows, table, values.text[0]);
    exec(db, sql);
    free_texts(&values);
}

static void make_older(enum store_half half, int version, unsigned rows)
{
    char pragma[48];
    sqlite3 *db = open_file(half);
    exec(db, "PRAGMA journal_mode=WAL");
    for (int i = 0; i < version; i++)
        exec(db, sql_sqlite_schema[half][i]);
    exec(db, "BEGIN");
    struct texts tables = ask(db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    for (unsigned i = 0; i < tables.n; i++)
        fill_table(db, tables.text[i], rows);
    exec(db, "COMMIT");
    free_texts(&tables);
    snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", version);
    exec(db, pragma);
    sqlite3_close(db);
}

/* For each table and view of a file: how to ask for all that is in it. */
static struct texts questions(enum store_half half)
{
    sqlite3 *db = open_file(half);
    struct texts t = ask(
        db, "SELECT 'SELECT count(*) || '':'' || group_concat(line, char(10)) FROM (SELECT ' ||"
            " (SELECT group_concat('quote(' || c.name || ')', ' || '','' || ') FROM pragma_table_info(m.name)"
            " AS c) || ' AS line FROM ' || m.name || ' ORDER BY 1)' FROM sqlite_master AS m"
            " WHERE type IN ('table', 'view') ORDER BY m.name");
    sqlite3_close(db);
    return t;
}

static struct texts answers(enum store_half half, const struct texts *asked)
{
    sqlite3 *db = open_file(half);
    struct texts all = {.n = 0};
    for (unsigned i = 0; i < asked->n; i++) {
        struct texts one = ask(db, asked->text[i]);
        assert_int_equal(one.n, 1);
        all.text[all.n++] = one.text[0];
    }
    sqlite3_close(db);
    return all;
}

static int version_of(enum store_half half)
{
    sqlite3 *db = open_file(half);
    struct texts t = ask(db, "PRAGMA user_version");
    int version = atoi(t.text[0]);
    free_texts(&t);
    sqlite3_close(db);
    return version;
}

/* A file before something is done with it. */
struct before {
    struct texts asked, had;
};

static struct before look(enum store_half half)
{
    struct before b = {.asked = questions(half)};
    b.had = answers(half, &b.asked);
    return b;
}

static void check_same(enum store_half half, const struct before *b)
{
    struct texts now = answers(half, &b->asked);
    assert_int_equal(now.n, b->had.n);
    for (unsigned i = 0; i < now.n; i++)
        if (strcmp(now.text[i], b->had.text[i]) != 0)
            fail_msg("%s: not what it was: %s", store_sqlite_file[half], b->asked.text[i]);
    free_texts(&now);
}

static void forget(struct before *b)
{
    free_texts(&b->asked);
    free_texts(&b->had);
}

static enum err open_and_close(void (*working)(void))
{
    const struct store_place place = {.dir = dir, .working = working};
    struct store *s = NULL;
    TRY(store_sql.open(&place, &s));
    store_sql.close(s);
    return ERR_OK;
}

static void check_sound(enum store_half half)
{
    sqlite3 *db = open_file(half);
    struct texts t = ask(db, "PRAGMA integrity_check"), mode = ask(db, "PRAGMA journal_mode"),
                 left =
                     ask(db, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'new_%' OR name = 'filler'"
                             " OR sql LIKE '%new_%'");
    assert_string_equal(t.text[0], "ok");
    assert_string_equal(mode.text[0], "wal");
    assert_string_equal(left.text[0], "0");
    free_texts(&t);
    free_texts(&mode);
    free_texts(&left);
    sqlite3_close(db);
}

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

static unsigned calls, die_at;

static void count(void)
{
    if (++calls == die_at)
        raise(SIGKILL);
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

static off_t disk_end; /* nothing is written behind that place of any file */

static ssize_t write_at(int fd, const void *p, size_t n, off_t at)
{
    if (at + (off_t)n > disk_end) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, p, n, at);
}

static void limit_disk(bool limited)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_syscall_ptr call = limited ? (sqlite3_syscall_ptr)write_at : NULL; /* NULL: the system's */
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", call), SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite", call), SQLITE_OK);
}

static off_t size_of(enum store_half half)
{
    char path[sizeof dir + 32];
    snprintf(path, sizeof path, "%s/%s", dir, store_sqlite_file[half]);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseeko(f, 0, SEEK_END), 0);
    off_t size = ftello(f);
    fclose(f);
    return size;
}

/* With a little room, and with nearly all that is wanted. */
static void test_the_disk_is_full(void **state)
{
    static const unsigned percent[] = {101, 140};
    assert_int_equal(make_dir(state), 0);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        make_older(half, 5, half == STORE_RECOVERY ? MANY : ROWS);
    struct before recovery = look(STORE_RECOVERY);
    const off_t size = size_of(STORE_RECOVERY);
    for (size_t i = 0; i < sizeof percent / sizeof percent[0]; i++) {
        disk_end = size / 100 * percent[i];
        limit_disk(true);
        assert_int_equal(open_and_close(NULL), ERR_UNSUPPORTED); /* not to be tried again */
        limit_disk(false);
        assert_int_equal(version_of(STORE_RECOVERY), 5);
        check_same(STORE_RECOVERY, &recovery);
        assert_int_equal(size_of(STORE_RECOVERY), size);
    }
    assert_int_equal(open_and_close(NULL), ERR_OK);
    check_same(STORE_RECOVERY, &recovery);
    assert_true(size_of(STORE_RECOVERY) < 2 * size + size / 10);
    forget(&recovery);
    assert_int_equal(remove_dir(state), 0);
}

/* Nothing is begun for which the disk says it has no room; through the log it takes twice as much. */
static void test_the_disk_is_too_small(void **state)
{
    assert_int_equal(make_dir(state), 0);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        make_older(half, 5, half == STORE_RECOVERY ? MANY : ROWS);
    struct before recovery = look(STORE_RECOVERY);
    const off_t size = size_of(STORE_RECOVERY);
    sqlite3 *reader = NULL;
    for (unsigned percent = 90; percent <= 190; percent += 100) {
        disk_room = (uint64_t)size / 100 * percent;
        calls = die_at = 0;
        assert_int_equal(open_and_close(count), ERR_UNSUPPORTED);
        assert_true(calls < QUIET);
        assert_int_equal(version_of(STORE_RECOVERY), 5);
        check_same(STORE_RECOVERY, &recovery);
        assert_int_equal(size_of(STORE_RECOVERY), size);
        sqlite3_close(reader);
        reader = open_file(STORE_RECOVERY);
        exec(reader, "SELECT count(*) FROM records");
    }
    sqlite3_close(reader);
    assert_int_equal(open_and_close(NULL), ERR_OK);
    disk_room = 0; /* nothing is to be done */
    assert_int_equal(open_and_close(NULL), ERR_OK);
    disk_room = UINT32_MAX;
    check_same(STORE_RECOVERY, &recovery);
    forget(&recovery);
    assert_int_equal(remove_dir(state), 0);
}

static unsigned pages, in_a_row, most_in_a_row;

static void heard(void)
{
    calls++;
    in_a_row = 0;
}

static void page(void)
{
    pages++;
    if (++in_a_row > most_in_a_row)
        most_in_a_row = in_a_row;
}

static ssize_t count_read(int fd, void *p, size_t n, off_t at)
{
    page();
    return pread(fd, p, n, at);
}

static ssize_t count_write(int fd, const void *p, size_t n, off_t at)
{
    page();
    return pwrite(fd, p, n, at);
}

static void count_pages(bool counted)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_syscall_ptr r = counted ? (sqlite3_syscall_ptr)count_read : NULL,
                        w = counted ? (sqlite3_syscall_ptr)count_write : NULL;
    assert_int_equal(vfs->xSetSystemCall(vfs, "pread64", r), SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pread", r), SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", w), SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite", w), SQLITE_OK);
    pages = in_a_row = most_in_a_row = calls = 0;
}

/* Dropping a large table reads all of it again within one step of SQLite's machine. However slow the disk
 * is, whoever waits hears of it; and afterwards of nothing more.
 */
static void test_who_waits_hears_of_all_reading(void **state)
{
    assert_int_equal(make_dir(state), 0);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        make_older(half, 5, ROWS);
    sqlite3 *db = open_file(STORE_RECOVERY);
    exec(db, "PRAGMA synchronous=OFF; BEGIN; DELETE FROM records");
    fill_table(db, "records", LARGE);
    exec(db, "COMMIT");
    sqlite3_close(db);
    count_pages(true);
    assert_int_equal(open_and_close(heard), ERR_OK);
    assert_true(pages > LARGE / 2);
    assert_in_range(most_in_a_row, 1, QUIET);
    calls = pages = 0;
    assert_int_equal(open_and_close(heard), ERR_OK);
    assert_int_equal(calls, 0);
    assert_true(pages > 0); /* and the calls are those from before */
    count_pages(false);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_row_stays),
                                       cmocka_unit_test(test_killed_meanwhile),
                                       cmocka_unit_test(test_the_disk_is_full),
                                       cmocka_unit_test(test_the_disk_is_too_small),
                                       cmocka_unit_test(test_nothing_of_the_old_tables_is_left),
                                       cmocka_unit_test(test_beside_a_reader),
                                       cmocka_unit_test(test_the_log_is_left_empty),
                                       cmocka_unit_test(test_who_waits_hears_of_all_reading)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
