/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of TLS sessions that all web workers share: what one puts another takes, once. */
#include "escrow-server/web/tls_sessions.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static struct tls_session session(uint8_t n, uint64_t age_s)
{
    struct tls_session s = {.time = (uint64_t)time(NULL) - age_s, .key_len = 48, .note_len = 3};
    memset(s.id, n, sizeof s.id);
    memset(s.key, n ^ 0xff, sizeof s.key);
    memcpy(s.note, "abc", 3);
    return s;
}

/* A table of one set of places, so that every session meets every other. */
static int open_table(void **state)
{
    int fd;
    (void)state;
    return tls_sessions_make(1, &fd) == ERR_OK && tls_sessions_open(fd) == ERR_OK ? 0 : -1;
}

static bool take(uint8_t n, struct tls_session *ret)
{
    const struct tls_session s = session(n, 0);
    return tls_sessions_take(s.id, ret);
}

static void test_good_for_one_handshake(void **state)
{
    (void)state;
    const struct tls_session s = session(1, 0);
    struct tls_session got;
    tls_sessions_put(&s);
    assert_false(take(2, &got));
    assert_true(take(1, &got));
    assert_memory_equal(&got, &s, sizeof s);
    assert_false(take(1, &got));
}

static void test_a_note_changes(void **state)
{
    (void)state;
    const struct tls_session s = session(1, 0), other = session(2, 0);
    struct tls_session got;
    tls_sessions_put(&s);
    tls_sessions_put(&other);
    tls_sessions_note(s.id, "known", 5);
    tls_sessions_note(session(3, 0).id, "lost", 4);
    assert_true(take(1, &got));
    assert_int_equal(got.note_len, 5);
    assert_memory_equal(got.note, "known", 5);
    assert_true(take(2, &got));
    assert_memory_equal(&got, &other, sizeof other);
}

static void test_the_oldest_gives_way(void **state)
{
    (void)state;
    struct tls_session got;
    for (uint8_t n = 1; n <= 5; n++) {
        const struct tls_session s = session(n, n == 2 ? 100 : 10);
        tls_sessions_put(&s);
    }
    for (uint8_t n = 1; n <= 5; n++)
        assert_int_equal(take(n, &got), n != 2);
}

static void test_too_old(void **state)
{
    (void)state;
    struct tls_session got;
    const struct tls_session s = session(1, TLS_SESSION_S), young = session(2, TLS_SESSION_S - 60);
    tls_sessions_put(&s);
    tls_sessions_put(&young);
    assert_false(take(1, &got));
    assert_true(take(2, &got));
}

static void test_another_process(void **state)
{
    (void)state;
    struct tls_session got;
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        const struct tls_session s = session(7, 0);
        tls_sessions_put(&s);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(take(7, &got));
}

/* Killed anywhere, also with the lock held: the others go on. */
static void test_killed_processes(void **state)
{
    (void)state;
    struct tls_session got;
    for (unsigned i = 0; i < 50; i++) {
        const struct timespec wait = {0, 1000 * (long)i};
        pid_t pid = fork();
        if (pid == 0)
            for (uint8_t n = 0;; n++) {
                const struct tls_session s = session(n, 0);
                tls_sessions_put(&s);
            }
        nanosleep(&wait, NULL);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        const struct tls_session s = session(9, 0);
        tls_sessions_put(&s);
        assert_true(take(9, &got));
    }
}

static void test_what_is_no_table(void **state)
{
    (void)state;
    int fd, pipes[2];
    assert_int_equal(tls_sessions_make(0, &fd), ERR_RANGE);
    assert_int_equal(tls_sessions_make(TLS_SESSIONS_MAX + 1, &fd), ERR_RANGE);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(tls_sessions_open(pipes[0]), ERR_FORMAT);
    close(pipes[1]);
    fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_not_equal(tls_sessions_open(fd), ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_good_for_one_handshake, open_table),
        cmocka_unit_test_setup(test_a_note_changes, open_table),
        cmocka_unit_test_setup(test_the_oldest_gives_way, open_table),
        cmocka_unit_test_setup(test_too_old, open_table),
        cmocka_unit_test_setup(test_another_process, open_table),
        cmocka_unit_test_setup(test_killed_processes, open_table),
        cmocka_unit_test(test_what_is_no_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
