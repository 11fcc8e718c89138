/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Loaded into a process: its wall clock is wrong by CLOCK_SHIFT seconds; or by as many as CLOCK_FILE says
 * now, two int64_t: of the wall clock, and of the time since boot. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *said; /* shared with whoever changes it */

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("CLOCK_FILE");
    if (!path)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof *said, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        perror(path);
        abort(); /* a test whose clock does not move must not pass */
    }
    close(fd);
    said = p;
}

static time_t shift(void)
{
    const char *text = getenv("CLOCK_SHIFT");
    return said ? (time_t)said[0] : text ? (time_t)strtoll(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t which, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int r = real(which, t);
    if (r == 0 && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        t->tv_sec += shift();
    else if (r == 0 && which == CLOCK_BOOTTIME && said)
        t->tv_sec += (time_t)said[1];
    return r;
}

time_t time(time_t *ret)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (ret)
        *ret = t.tv_sec;
    return t.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec t;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    *ret = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
    return 0;
}
