/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clevis, in its place a script that answers, or waits for a server that does not. */
#include "agent/volume/unlock_token.h"
#include "crypto/err.h"
#include "crypto/secret.h"
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define TOKEN "{\"type\":\"clevis\",\"keyslots\":[\"5\"]}"

static char dir[] = "/tmp/keyholt-clevis-XXXXXX";

static void make_clevis(const char *script)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/clevis", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fprintf(f, "#!/bin/sh\n%s\n", script) > 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

static int setup(void **state)
{
    char path[4096];
    const char *before = getenv("PATH");
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof path, "%s:%s", dir, before ? before : "/bin:/usr/bin");
    return setenv("PATH", path, 1);
}

static int teardown(void **state)
{
    char path[64];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/clevis", dir);
    (void)unlink(path);
    return rmdir(dir);
}

static void answers(void **state)
{
    (void)state;
    static const struct {
        const char *row, *script, *token;
        enum err want;
    } rows[] = {
        {"its arguments", "printf %s \"$*\"", TOKEN, ERR_OK},
        {"nothing", "exit 0", TOKEN, ERR_AUTH},
        {"a failure", "echo half; exit 1", TOKEN, ERR_AUTH},
        {"a token without keyslot", "echo x", "{\"keyslots\":[]}", ERR_AUTH},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        SECRET(s);
        make_clevis(rows[i].script);
        enum err e = unlock_clevis("/dev/x", rows[i].token, 60, &s);
        if (e != rows[i].want || alarm(0) != 0)
            fail_msg("%s: %s", rows[i].row, err_name(e));
        if (e == ERR_OK)
            assert_memory_equal(s.bytes, "luks pass -d /dev/x -s 5", s.len);
    }
}

/* In a process of its own, as the helper is. alive: what clevis and its child hold open until they end.
 * own_alarm: the caller's limit, 0 none; end: a signal that somebody sends, 0 none. Returns the signal that
 * ended it */
static int helper(int alive, unsigned own_alarm, unsigned seconds, int end)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        SECRET(s);
        (void)alarm(own_alarm);
        _exit(unlock_clevis("/dev/x", TOKEN, seconds, &s) == ERR_OK ? 0 : 1);
    }
    (void)close(alive);
    if (end) {
        char path[64]; /* the script is under way: it says so by a file */
        (void)snprintf(path, sizeof path, "%s/begun", dir);
        for (unsigned i = 0; i < 6000 && unlink(path) != 0; i++)
            (void)poll(NULL, 0, 10);
        assert_int_equal(kill(pid, end), 0);
    }
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* The helper ends, and nothing that clevis started goes on: nobody holds the pipe any more. */
static void no_answer(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        unsigned own_alarm, seconds;
        int end, want;
    } rows[] = {
        {"the limit", 0, 1, 0, SIGALRM},
        {"the caller's limit, which is shorter", 1, 600, 0, SIGALRM},
        {"Ctrl-C", 0, 600, SIGINT, SIGINT},
        {"the end of the session", 0, 600, SIGHUP, SIGHUP},
    };
    char script[160];
    (void)snprintf(script, sizeof script, "sleep 100 &\n: > %s/begun\nsleep 100\necho late", dir);
    make_clevis(script);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int alive[2];
        char begun[64]; /* of the row before */
        (void)snprintf(begun, sizeof begun, "%s/begun", dir);
        (void)unlink(begun);
        assert_int_equal(pipe(alive), 0);
        int got = helper(alive[1], rows[i].own_alarm, rows[i].seconds, rows[i].end);
        struct pollfd p = {.fd = alive[0], .events = POLLIN};
        int gone = poll(&p, 1, 60000); /* the end of the file: all who held it are gone */
        if (got != rows[i].want || gone != 1 || !(p.revents & POLLHUP))
            fail_msg("%s: ended by signal %d, clevis is %s", rows[i].row, got,
                     gone == 1 ? "gone" : "still there");
        (void)close(alive[0]);
    }
    (void)snprintf(script, sizeof script, "%s/begun", dir);
    (void)unlink(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(no_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
