/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LD_PRELOAD: fdatasync() and fsync() take SYNC_SHIM_US microseconds longer, as on a disk whose cache is not
 * protected: what stands in the store's figures for it is said to be of such a disk, and of this shim. The
 * disk still does its own sync. It is slept, not computed: the processor is free meanwhile, as it is while a
 * disk works. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_more(void)
{
    static long us = -1;
    int error = errno;
    if (us < 0) {
        const char *text = getenv("SYNC_SHIM_US");
        us = text != NULL ? strtol(text, NULL, 10) : 0;
    }
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    while (us > 0 && nanosleep(&left, &left) != 0 &&
           errno == EINTR) /* the vault's filter forbids it to sleep */
        ;
    errno = error;
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    int code = real(fd);
    wait_more();
    return code;
}

int fsync(int fd)
{
    static int (*real)(int);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    int code = real(fd);
    wait_more();
    return code;
}
