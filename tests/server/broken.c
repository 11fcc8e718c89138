/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does what a sanitizer must say, for tests/server/test_sanitized.py. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static volatile int n = 8, most = INT_MAX;

static int overflow(void)
{
    char *volatile p = calloc(1, (size_t)n);
    if (p == NULL)
        return 1;
    int got = p[n];
    free(p);
    return got;
}

static int freed(void)
{
    char *volatile p = calloc(1, (size_t)n), *volatile q = p;
    if (p == NULL)
        return 1;
    free(p);
    return q[n / 2];
}

static int undefined(void)
{
    most += n;
    return 0;
}

static int leak(void)
{
    char *volatile p = malloc((size_t)n);
    p = NULL; /* cppcheck-suppress memleak */
    return p != NULL;
}

/* As a process of the server: another user, no standard error, and somebody who starts it again. */
static int supervised(void)
{
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if ((geteuid() == 0 && setuid(NOBODY) != 0) || chdir("/") != 0 ||
                freopen("/dev/null", "w", stderr) == NULL)
                _exit(1);
            _exit(i == 0 ? overflow() : 0);
        }
        (void)waitpid(pid, NULL, 0);
    }
    return 0;
}

/* Where no file can be opened, there is only standard error. */
static int shut(void)
{
    const struct rlimit none = {3, 3};
    pid_t pid = fork();
    if (pid == 0)
        _exit(setrlimit(RLIMIT_NOFILE, &none) != 0 ? 1 : overflow());
    (void)waitpid(pid, NULL, 0);
    return 0;
}

static int nothing(void)
{
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} kinds[] = {{"overflow", overflow},     {"freed", freed}, {"undefined", undefined}, {"leak", leak},
             {"supervised", supervised}, {"shut", shut},   {"nothing", nothing}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            return kinds[i].run();
    fputs("broken overflow|freed|undefined|leak|supervised|shut|nothing\n", stderr);
    return 2;
}
