/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LD_PRELOAD into a keyholt-server: stops the writer between a record that it has and the receipt that it
 * owes, and leaves the killing to the test. What the file KILL_SHIM_ARM holds, says where; it is taken away
 * then. before  the commit of the recovery store is about to be made durable after   it is durable, and no
 * answer has been sent yet */
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool committed; /* and not answered */

static bool is_log(int fd)
{
    char link[64], path[PATH_MAX];
    const char *end = "/recovery.db-wal";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    return n > (ssize_t)strlen(end) && memcmp(path + n - strlen(end), end, strlen(end)) == 0;
}

static void stop_if(const char *where)
{
    char word[16] = "";
    const char *arm = getenv("KILL_SHIM_ARM");
    FILE *f = arm == NULL ? NULL : fopen(arm, "r");
    if (f == NULL)
        return;
    bool here = fscanf(f, "%15s", word) == 1 && strcmp(word, where) == 0;
    (void)fclose(f);
    if (here && unlink(arm) == 0)
        (void)raise(SIGSTOP);
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    bool log = is_log(fd);
    if (log)
        stop_if("before");
    int code = real(fd);
    committed = committed || (log && code == 0);
    return code;
}

ssize_t send(int fd, const void *p, size_t len, int flags)
{
    static ssize_t (*real)(int, const void *, size_t, int);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "send");
    if (committed)
        stop_if("after");
    committed = false;
    return real(fd, p, len, flags);
}
