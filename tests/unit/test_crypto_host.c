/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files and processes: the parts of crypto/host/. */
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];

static int enter(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/keyholt-test.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", dir, (char *)NULL);
        _exit(127);
    }
    int status;
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* A path below the test's folder; good until the next call but one. */
static const char *at(const char *name)
{
    static char path[2][PATH_MAX];
    static unsigned turn;
    turn ^= 1;
    (void)snprintf(path[turn], PATH_MAX, "%s/%s", dir, name);
    return path[turn];
}

static void put(const char *name, const char *text, size_t len)
{
    assert_int_equal(file_write(at(name), text, len, 0600), ERR_OK);
}

static unsigned entries(void)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2; /* . and .. */
}

static void test_write_read(void **state)
{
    (void)state;
    uint8_t *got;
    size_t len;
    struct stat st;
    static char big[20000];
    memset(big, 'x', sizeof big);
    const size_t sizes[] = {0, 1, 4095, 4096, 4097, sizeof big};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(file_write(at("f"), big, sizes[i], 0640), ERR_OK);
        assert_int_equal(file_read(at("f"), sizes[i], &got, &len), ERR_OK);
        assert_int_equal(len, sizes[i]);
        assert_memory_equal(got, big, len);
        assert_int_equal(got[len], 0);
        free(got);
        if (sizes[i] > 0)
            assert_int_equal(file_read(at("f"), sizes[i] - 1, &got, &len), ERR_RANGE);
    }
    assert_int_equal(stat(at("f"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640); /* whatever the umask */
    assert_int_equal(entries(), 1);             /* nothing temporary is left */
}

static void test_read_refuses(void **state)
{
    (void)state;
    uint8_t *got;
    size_t len;
    assert_int_equal(file_read(at("absent"), 10, &got, &len), ERR_NOT_FOUND);
    assert_int_equal(file_read(dir, 10, &got, &len), ERR_IO);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_int_equal(file_read(at("fifo"), 10, &got, &len), ERR_IO); /* and does not wait for a writer */
}

/* What cannot be written leaves the old file and no other. */
static void test_write_fails(void **state)
{
    (void)state;
    uint8_t *got;
    size_t len;
    static char big[9000];
    put("f", "old", 3);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit small = {4096, 4096};
        if (setrlimit(RLIMIT_FSIZE, &small) != 0 || signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
            _exit(2);
        _exit(file_write(at("f"), big, sizeof big, 0600) == ERR_RANGE ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(entries(), 1);
    assert_int_equal(file_read(at("f"), 100, &got, &len), ERR_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(got, "old", 3);
    free(got);
    assert_int_equal(file_write(at("absent/f"), "x", 1, 0600), ERR_NOT_FOUND);
}

static void test_mkdirs(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(file_mkdirs(at("a/b//c/"), 0700), ERR_OK);
    assert_int_equal(stat(at("a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(stat(at("a/b/c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(file_mkdirs(at("a/b/c"), 0755), ERR_OK); /* what is there stays as it is */
    assert_int_equal(stat(at("a/b/c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    put("f", "", 0);
    assert_int_equal(file_mkdirs(at("f"), 0755), ERR_IO);
    assert_int_equal(file_mkdirs(at("f/g"), 0755), ERR_IO);
    assert_int_equal(file_mkdirs("", 0755), ERR_RANGE);
}

static void test_join(void **state)
{
    (void)state;
    static const struct {
        const char *root, *path, *want;
    } rows[] = {
        {NULL, "/etc/x", "/etc/x"},         {"", "/etc/x", "/etc/x"},          {"/", "/etc/x", "/etc/x"},
        {"/root", "/etc/x", "/root/etc/x"}, {"root/", "/etc/x", "root/etc/x"}, {"root", "etc", "root/etc"},
    };
    char got[12];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(file_join(rows[i].root, rows[i].path, got, sizeof got), ERR_OK);
        assert_string_equal(got, rows[i].want);
    }
    assert_int_equal(file_join("/root", "/etc/xy", got, sizeof got), ERR_RANGE);
}

static void test_errno(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum err want;
    } rows[] = {
        {0, ERR_OK},         {ENOENT, ERR_NOT_FOUND},   {EACCES, ERR_DENIED},
        {EPERM, ERR_DENIED}, {ENOSPC, ERR_FULL},        {EDQUOT, ERR_FULL},
        {ENOMEM, ERR_NOMEM}, {EEXIST, ERR_CONFLICT},    {EAGAIN, ERR_BUSY},
        {EIO, ERR_IO},       {ETIMEDOUT, ERR_TIMEOUT},  {EROFS, ERR_DENIED},
        {12345, ERR_IO},     {ENOSYS, ERR_UNSUPPORTED}, {ECONNREFUSED, ERR_OFFLINE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (err_from_errno(rows[i].number) != rows[i].want)
            fail_msg("errno %d: %s", rows[i].number, err_name(err_from_errno(rows[i].number)));
}

static void test_secret_file(void **state)
{
    (void)state;
    static char long_text[SECRET_MAX + 3];
    memset(long_text, 'x', sizeof long_text);
    long_text[SECRET_MAX] = '\n';
    const struct {
        const char *name, *text;
        size_t len;
        enum err want;
        size_t want_len;
    } rows[] = {
        {"newline", "word\n", 5, ERR_OK, 4},
        {"no newline", "word", 4, ERR_OK, 4},
        {"two newlines", "word\n\n", 6, ERR_OK, 5},
        {"zero byte", "wo\0rd", 5, ERR_OK, 5},
        {"longest", long_text, SECRET_MAX + 1, ERR_OK, SECRET_MAX},
        {"too long", long_text, SECRET_MAX + 2, ERR_RANGE, 0},
        {"far too long", long_text, SECRET_MAX + 3, ERR_RANGE, 0},
        {"empty", "", 0, ERR_FORMAT, 0},
        {"only a newline", "\n", 1, ERR_FORMAT, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        SECRET(s);
        put("s", rows[i].text, rows[i].len);
        enum err e = secret_from_file(at("s"), &s);
        if (e != rows[i].want || s.len != rows[i].want_len || memcmp(s.bytes, rows[i].text, s.len) != 0)
            fail_msg("%s: %s, %zu bytes", rows[i].name, err_name(e), s.len);
    }
    SECRET(s);
    assert_int_equal(secret_from_file(at("absent"), &s), ERR_NOT_FOUND);
}

static void test_secret_stdin(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDIN_FILENO);
    SECRET(s);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "from a pipe\n", 12), 12);
    close(ends[1]);
    assert_true(saved >= 0 && dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    enum err e = secret_from_file("-", &s);
    assert_true(dup2(saved, STDIN_FILENO) >= 0);
    close(saved);
    assert_int_equal(e, ERR_OK);
    assert_int_equal(s.len, 11);
    assert_memory_equal(s.bytes, "from a pipe", 11);
}

/* Run a check in a child, because what it does cannot be undone. */
static void in_child(int (*check)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(check());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int harden(void)
{
    struct rlimit core;
    if (setenv("OPENSSL_CONF", "/tmp/x", 1) || setenv("SSLKEYLOGFILE", "/tmp/y", 1) ||
        setenv("https_proxy", "http://proxy", 1) || prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
        return 10;
    if (process_harden(true) != ERR_OK)
        return 1;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return 2;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 3;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
        return 4;
    if (getenv("OPENSSL_CONF") || getenv("SSLKEYLOGFILE"))
        return 5;
    if (!getenv("https_proxy"))
        return 6;
    void *p = malloc(32u << 20); /* a small limit on locked memory must not starve what comes later */
    if (!p)
        return 7;
    memset(p, 1, 32u << 20);
    free(p);
    return 0;
}

/* As an ordinary user whose limit is `room` bytes more than the process has mapped. */
static int limited(long room)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%ld", &pages) != 1)
        return 11;
    (void)fclose(f);
    const rlim_t bytes = (rlim_t)(pages * sysconf(_SC_PAGESIZE) + room);
    const struct rlimit limit = {bytes, bytes};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (getuid() == 0 && process_drop(54321, 54321) != ERR_OK))
        return 12;
    return harden();
}

static int harden_little_room(void)
{
    return limited(4 << 20);
}

static int harden_no_room(void)
{
    return limited(-(1 << 20));
}

static void test_harden(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    print_message("SKIP: AddressSanitizer maps terabytes, which cannot be locked\n");
    skip();
#endif
    in_child(harden);
    in_child(harden_little_room);
    in_child(harden_no_room);
}

static int drop(void)
{
    if (process_drop(54321, 54322) != ERR_OK)
        return 1;
    if (getuid() != 54321 || geteuid() != 54321 || getgid() != 54322 || getegid() != 54322)
        return 2;
    if (setuid(0) == 0 || setgid(0) == 0 || getgroups(0, NULL) != 0)
        return 3;
    if (open("/etc/shadow", O_RDONLY) >= 0)
        return 4;
    return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static int drop_to_root(void)
{
    return process_drop(0, 0) == ERR_RANGE ? 0 : 1;
}

static void test_drop(void **state)
{
    (void)state;
    in_child(drop_to_root);
    if (getuid() != 0) {
        print_message("SKIP: dropping to another user needs root\n");
        skip();
    }
    in_child(drop);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(test_write_read),     IN_DIR(test_read_refuses),    IN_DIR(test_write_fails),
        IN_DIR(test_mkdirs),         IN_DIR(test_secret_file),     cmocka_unit_test(test_secret_stdin),
        cmocka_unit_test(test_join), cmocka_unit_test(test_errno), cmocka_unit_test(test_harden),
        cmocka_unit_test(test_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
