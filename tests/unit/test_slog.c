/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines for the journal begin with their priority, all others do not. */
#include "escrow-server/process/slog.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

enum stream { STREAM_IS_OURS = 1, STREAM_IS_ANOTHER, STREAM_IS_NONSENSE, STREAM_IS_NONE };

static void set_stream(enum stream stream)
{
    char text[64];
    struct stat st;
    if (fstat(STDERR_FILENO, &st) != 0)
        _exit(1);
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino + (stream == STREAM_IS_ANOTHER));
    if (stream == STREAM_IS_NONE)
        unsetenv("JOURNAL_STREAM");
    else
        setenv("JOURNAL_STREAM", stream == STREAM_IS_NONSENSE ? "journal" : text, 1);
}

/* In a process of its own, because where standard error goes is looked at once. */
static void say_all(enum stream stream, char *ret, size_t size)
{
    int fd[2], status;
    size_t len = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(fd[1], STDERR_FILENO);
        set_stream(stream);
        slog_open("test");
        slog(SLOG_ERROR, "one", "n=1");
        slog(SLOG_WARN, "two", "n=2");
        slog(SLOG_INFO, "three", "n=3");
        _exit(0);
    }
    close(fd[1]);
    for (ssize_t n; len < size - 1 && (n = read(fd[0], ret + len, size - 1 - len)) > 0;)
        len += (size_t)n;
    ret[len] = '\0';
    close(fd[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void check_lines(const char *said, const char *const prefix[3])
{
    static const char *const word[3] = {"level=error process=test event=one n=1\n",
                                        "level=warn process=test event=two n=2\n",
                                        "level=info process=test event=three n=3\n"};
    for (unsigned i = 0; i < 3; i++) {
        char begins[32];
        int n = snprintf(begins, sizeof begins, "%stime=", prefix[i]);
        assert_memory_equal(said, begins, (size_t)n);
        const char *rest = strstr(said, " level=");
        assert_non_null(rest);
        assert_memory_equal(rest + 1, word[i], strlen(word[i]));
        said = rest + 1 + strlen(word[i]);
    }
    assert_string_equal(said, "");
}

static void test_priorities(void **state)
{
    static const char *const numbers[3] = {"<3>", "<4>", "<6>"}, *const none[3] = {"", "", ""};
    char said[1024];
    (void)state;
    say_all(STREAM_IS_OURS, said, sizeof said);
    check_lines(said, numbers);
    for (enum stream other = STREAM_IS_ANOTHER; other <= STREAM_IS_NONE; other++) {
        say_all(other, said, sizeof said);
        check_lines(said, none);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_priorities)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
