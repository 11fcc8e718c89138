/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite files are brought forward on a disk that is too small, and on one that is slow. */
#include "tests/unit/migrate_fixture.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LARGE 30000 /* more than SQLite keeps in memory */
#define QUIET 64    /* pages read or written in a row that nobody hears of: opening a file takes some */

static uint64_t disk_room = UINT32_MAX; /* bytes, as the disk says it */

/* In the C library's place. */
int statvfs(const char *path, struct statvfs *ret)
{
    assert_string_equal(path, dir);
    *ret = (struct statvfs){.f_bsize = 4096, .f_frsize = 1, .f_bavail = disk_room, .f_bfree = UINT32_MAX};
    return 0;
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

/* The full disk takes nothing but what is written into the store's own pages, once the copy is committed. */
static int copied_fd = -1;

static ssize_t write_behind_the_copy(int fd, const void *p, size_t n, off_t at)
{
    static const uint8_t version_6[] = {0, 0, 0, 6};
    if (copied_fd >= 0 && fd != copied_fd) {
        errno = ENOSPC;
        return -1;
    }
    /* source: sqlite.org/fileformat.html, the user version at 60 of the first page */
    if (at == 0 && n >= 64 && memcmp((const uint8_t *)p + 60, version_6, sizeof version_6) == 0)
        copied_fd = fd;
    return pwrite(fd, p, n, at);
}

static void fill_disk_behind_the_copy(bool fills)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_syscall_ptr call = fills ? (sqlite3_syscall_ptr)write_behind_the_copy : NULL;
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite64", call), SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pwrite", call), SQLITE_OK);
    copied_fd = -1;
}

/* What opening the store says on standard error. */
static enum err open_and_hear(char *ret, size_t size)
{
    char path[] = "/tmp/keyholt-said-XXXXXX";
    int file = mkstemp(path), was = dup(STDERR_FILENO);
    assert_true(file >= 0 && was >= 0 && unlink(path) == 0);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    enum err e = open_and_close(NULL);
    assert_int_equal(dup2(was, STDERR_FILENO), STDERR_FILENO);
    ssize_t n = pread(file, ret, size - 1, 0);
    ret[n > 0 ? n : 0] = '\0';
    close(was);
    close(file);
    return e;
}

static void check_said(const char *said, bool steps_stay)
{
    assert_true((strstr(said, "some steps are done and stay") != NULL) == steps_stay);
    assert_true((strstr(said, "the file is as it was") != NULL) == !steps_stay);
    assert_true(strstr(said, "file=compliance.db schema=") != NULL);
}

/* The last step fails behind one that was committed, for want of room and otherwise: what is said is so. */
static void test_the_last_step_fails(void **state)
{
    char said[4096];
    assert_int_equal(make_dir(state), 0);
    make_older(STORE_RECOVERY, SQL_SQLITE_VERSION, ROWS);
    make_older(STORE_COMPLIANCE, 5, ROWS);
    struct before compliance = look(STORE_COMPLIANCE);
    fill_disk_behind_the_copy(true);
    assert_int_equal(open_and_hear(said, sizeof said), ERR_UNSUPPORTED);
    fill_disk_behind_the_copy(false);
    check_said(said, true);
    assert_int_equal(version_of(STORE_COMPLIANCE), 6);
    check_same(STORE_COMPLIANCE, &compliance);
    sqlite3 *db = open_file(STORE_COMPLIANCE);
    exec(db, "CREATE TABLE filler (other)"); /* a name that the step wants */
    assert_int_equal(open_and_hear(said, sizeof said), ERR_INTERNAL);
    check_said(said, false); /* it was of that schema when this start began */
    assert_int_equal(version_of(STORE_COMPLIANCE), 6);
    exec(db, "DROP TABLE filler");
    sqlite3_close(db);
    assert_int_equal(open_and_hear(said, sizeof said), ERR_OK);
    assert_string_equal(said, "");
    check_same(STORE_COMPLIANCE, &compliance);
    forget(&compliance);
    assert_int_equal(remove_dir(state), 0);
}

static void test_a_step_fails_otherwise(void **state)
{
    char said[4096];
    for (int version = 5; version <= 6; version++) {
        assert_int_equal(make_dir(state), 0);
        make_older(STORE_RECOVERY, SQL_SQLITE_VERSION, ROWS);
        make_older(STORE_COMPLIANCE, 5, ROWS);
        sqlite3 *db = open_file(STORE_COMPLIANCE);
        exec(db, version == 5 ? "CREATE TABLE new_events (other)" : "CREATE TABLE filler (other)");
        assert_int_equal(open_and_hear(said, sizeof said), ERR_INTERNAL);
        check_said(said, version > 5);
        assert_int_equal(version_of(STORE_COMPLIANCE), version);
        exec(db, version == 5 ? "DROP TABLE new_events" : "DROP TABLE filler");
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
        assert_int_equal(open_and_hear(said, sizeof said), ERR_OK);
        assert_string_equal(said, "");
        assert_int_equal(version_of(STORE_COMPLIANCE), SQL_SQLITE_VERSION);
        assert_int_equal(remove_dir(state), 0);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_disk_is_full),
        cmocka_unit_test(test_the_disk_is_too_small),
        cmocka_unit_test(test_the_last_step_fails),
        cmocka_unit_test(test_a_step_fails_otherwise),
        cmocka_unit_test(test_who_waits_hears_of_all_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
