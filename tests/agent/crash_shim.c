/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LD_PRELOAD into the keeper: counts every write and fsync on the files of interest, and kills the process at
 * one of them, before it or in the middle of it. Environment:
 *   SHIM_IMAGE  the volume's image          SHIM_STATE  prefix of the keeper's own files (the cache)
 *   SHIM_ARM    counting starts when this file exists
 *   SHIM_AT     number of the operation that is not (or not wholly) done; unset: all are done. Numbers count
 *               the image's operations, or with SHIM_COUNT_STATE those on the keeper's own files
 *   SHIM_TORN   of a write, the first half (whole sectors) still reaches the file
 *   SHIM_LOG    one line per operation: W off len (data follows), S (image synced), w (cache written),
 *               s (cache synced) */
#include <dlfcn.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR 512

typedef ssize_t write_fn(int fd, const void *p, size_t len);
typedef ssize_t pwrite_fn(int fd, const void *p, size_t len, off_t off);
typedef int sync_fn(int fd);

enum which { OTHER, IMAGE, STATE };

static int count;
static FILE *log_file;

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static pwrite_fn *real_pwrite(void)
{
    static pwrite_fn *f;
    if (!f)
        *(void **)&f = next("pwrite");
    return f;
}

static enum which what_is(int fd)
{
    char link[64], path[PATH_MAX];
    const char *image = getenv("SHIM_IMAGE"), *state = getenv("SHIM_STATE"), *arm = getenv("SHIM_ARM");
    if (!image || !state || !arm || fd <= 2)
        return OTHER;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return OTHER;
    path[n] = 0;
    enum which w = strcmp(path, image) == 0                   ? IMAGE
                   : strncmp(path, state, strlen(state)) == 0 ? STATE
                                                              : OTHER;
    return w != OTHER && access(arm, F_OK) == 0 ? w : OTHER;
}

static void record(enum which w, const void *p, size_t len, off_t off, bool sync)
{
    const char *path = getenv("SHIM_LOG");
    if (!path)
        return;
    if (!log_file && !(log_file = fopen(path, "w")))
        abort();
    if (w == STATE)
        (void)fputs(sync ? "s\n" : "w\n", log_file);
    else if (sync)
        (void)fputs("S\n", log_file);
    else
        (void)(fprintf(log_file, "W %lld %zu\n", (long long)off, len) + fwrite(p, 1, len, log_file) > 0);
    (void)fflush(log_file);
}

static void point(enum which w, int fd, const void *p, size_t len, off_t off, bool sync)
{
    const char *at = getenv("SHIM_AT");
    if (w == OTHER)
        return;
    record(w, p, len, off, sync);
    if (w != (getenv("SHIM_COUNT_STATE") ? STATE : IMAGE) || ++count != (at ? atoi(at) : -1))
        return;
    size_t half = len / 2 / SECTOR * SECTOR;
    if (!sync && getenv("SHIM_TORN") && half && real_pwrite()(fd, p, half, off) < 0)
        abort();
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

ssize_t write(int fd, const void *p, size_t len)
{
    static write_fn *f;
    if (!f)
        *(void **)&f = next("write");
    point(what_is(fd), fd, p, len, lseek(fd, 0, SEEK_CUR), false);
    return f(fd, p, len);
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t off)
{
    point(what_is(fd), fd, p, len, off, false);
    return real_pwrite()(fd, p, len, off);
}

/* the same function where off_t has 64 bits; SQLite asks for it by this name */
ssize_t pwrite64(int fd, const void *p, size_t len, off_t off)
{
    return pwrite(fd, p, len, off);
}

int fsync(int fd)
{
    static sync_fn *f;
    if (!f)
        *(void **)&f = next("fsync");
    point(what_is(fd), fd, NULL, 0, 0, true);
    return f(fd);
}

int fdatasync(int fd)
{
    static sync_fn *f;
    if (!f)
        *(void **)&f = next("fdatasync");
    point(what_is(fd), fd, NULL, 0, 0, true);
    return f(fd);
}
