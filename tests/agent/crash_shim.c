/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LD_PRELOAD into the keeper: counts what changes the files of interest (write, fsync, rename, unlink,
 * ftruncate, mkdir, open that creates or empties, fallocate), and kills the process at one of these
 * operations: before it, in the middle of it or after it. What changes nothing (mkdir of a folder that is
 * there) is no operation. Environment: SHIM_IMAGE  the volume's image SHIM_STATE, SHIM_ESP  prefixes of the
 * keeper's own files (the cache) and of the EFI system partition's SHIM_ARM    counting starts when this file
 * exists SHIM_AT     number of the operation that is not (or not wholly) done; unset: all are done. Numbers
 * count the image's operations, or with SHIM_COUNT_STATE or SHIM_COUNT_ESP those on the others SHIM_TORN   of
 * a write, the first half (whole sectors) still reaches the file SHIM_AFTER  the operation is done first
 *   SHIM_LOG    one line per operation, all three together, in order: kind, i, c (cache) or e (ESP), file,
 * more: W off len (data follows), T size, R to; S (synced), U (unlink), M (mkdir), O (open), A (fallocate) */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512

struct op {
    char kind, whose; /* whose 0: of no interest */
    char path[PATH_MAX], to[PATH_MAX];
    int fd;
    const void *p;
    long long off;
    size_t len;
    bool last; /* after it, the process goes */
};

static int count;
static FILE *log_file;

/* *name_real() is the function that would have been called */
#define REAL(ret, name, ...)                                                                                 \
    typedef ret name##_fn(__VA_ARGS__);                                                                      \
    static name##_fn *name##_real(void)                                                                      \
    {                                                                                                        \
        static name##_fn *f;                                                                                 \
        if (!f)                                                                                              \
            *(void **)&f = dlsym(RTLD_NEXT, #name);                                                          \
        return f;                                                                                            \
    }
REAL(ssize_t, write, int fd, const void *p, size_t len)
REAL(ssize_t, pwrite, int fd, const void *p, size_t len, off_t off)
REAL(int, fsync, int fd)
REAL(int, fdatasync, int fd)
REAL(int, ftruncate, int fd, off_t size)
REAL(int, posix_fallocate, int fd, off_t off, off_t len)
REAL(int, fallocate, int fd, int mode, off_t off, off_t len)
REAL(int, renameat2, int dir, const char *from, int to_dir, const char *to, unsigned flags)
REAL(int, unlinkat, int dir, const char *path, int flags)
REAL(int, mkdirat, int dir, const char *path, mode_t mode)
REAL(int, openat, int dir, const char *path, int flags, ...)
REAL(int, mkostemp, char *path, int flags)

/* Below the prefix, or the folder itself when it ends in a slash. */
static bool is_below(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(path, prefix, n) == 0 ||
           (n > 0 && prefix[n - 1] == '/' && strlen(path) == n - 1 && strncmp(path, prefix, n - 1) == 0);
}

static char whose(const char *path)
{
    const char *image = getenv("SHIM_IMAGE"), *cache = getenv("SHIM_STATE"), *esp = getenv("SHIM_ESP");
    const char *arm = getenv("SHIM_ARM");
    if (!image || !cache || !arm)
        return 0;
    char w = strcmp(path, image) == 0     ? 'i'
             : is_below(path, cache)      ? 'c'
             : esp && is_below(path, esp) ? 'e'
                                          : 0;
    return w && access(arm, F_OK) == 0 ? w : 0;
}

static void path_of_fd(int fd, char *ret)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, ret, PATH_MAX - 1);
    ret[n > 0 ? n : 0] = 0;
}

static void full_path(int dir, const char *path, char *ret)
{
    *ret = 0;
    if (*path != '/' && dir >= 0)
        path_of_fd(dir, ret);
    size_t n = strlen(ret);
    (void)snprintf(ret + n, PATH_MAX - n, "%s%s", n ? "/" : "", path);
}

static struct op on_fd(char kind, int fd)
{
    struct op o = {.kind = kind, .fd = fd};
    if (fd > 2)
        path_of_fd(fd, o.path);
    o.whose = whose(o.path);
    return o;
}

/* of_old: it is no operation when nothing is there; else, when something is */
static struct op on_name(char kind, int dir, const char *path, bool of_old)
{
    struct op o = {.kind = kind, .fd = -1};
    full_path(dir, path, o.path);
    o.whose = (access(o.path, F_OK) == 0) == of_old ? whose(o.path) : 0;
    return o;
}

static void record(const struct op *o)
{
    const char *path = getenv("SHIM_LOG");
    if (!path)
        return;
    if (!log_file && !(log_file = fopen(path, "w")))
        abort();
    if (o->kind == 'W')
        (void)(fprintf(log_file, "W %c %s %lld %zu\n", o->whose, o->path, o->off, o->len) +
                   fwrite(o->p, 1, o->len, log_file) >
               0);
    else if (o->kind == 'T')
        (void)fprintf(log_file, "T %c %s %lld\n", o->whose, o->path, o->off);
    else
        (void)fprintf(log_file, "%c %c %s %s\n", o->kind, o->whose, o->path, o->to);
    (void)fflush(log_file);
}

static _Noreturn void die(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static void before(struct op *o)
{
    const char *at = getenv("SHIM_AT");
    char counted = getenv("SHIM_COUNT_STATE") ? 'c' : getenv("SHIM_COUNT_ESP") ? 'e' : 'i';
    if (o->whose != counted || ++count != (at ? atoi(at) : -1))
        return;
    o->last = getenv("SHIM_AFTER") != NULL;
    if (o->last)
        return;
    size_t half = o->len / 2 / SECTOR * SECTOR;
    if (getenv("SHIM_TORN") && o->kind == 'W' && half && pwrite_real()(o->fd, o->p, half, o->off) < 0)
        abort();
    die();
}

/* ret: what the real function answered */
static int after(const struct op *o, int ret)
{
    if (o->whose)
        record(o);
    if (o->last)
        die();
    return ret;
}

static ssize_t do_write(int fd, const void *p, size_t len, off_t off, bool at_off)
{
    struct op o = on_fd('W', fd);
    o.p = p;
    o.len = len;
    o.off = off;
    before(&o);
    ssize_t n = at_off ? pwrite_real()(fd, p, len, off) : write_real()(fd, p, len);
    (void)after(&o, 0);
    return n;
}

ssize_t write(int fd, const void *p, size_t len)
{
    return do_write(fd, p, len, fd > 2 ? lseek(fd, 0, SEEK_CUR) : 0, false);
}

ssize_t pwrite(int fd, const void *p, size_t len, off_t off)
{
    return do_write(fd, p, len, off, true);
}

int fsync(int fd)
{
    struct op o = on_fd('S', fd);
    before(&o);
    return after(&o, fsync_real()(fd));
}

int fdatasync(int fd)
{
    struct op o = on_fd('S', fd);
    before(&o);
    return after(&o, fdatasync_real()(fd));
}

int ftruncate(int fd, off_t size)
{
    struct op o = on_fd('T', fd);
    o.off = size;
    before(&o);
    return after(&o, ftruncate_real()(fd, size));
}

int posix_fallocate(int fd, off_t off, off_t len)
{
    struct op o = on_fd('A', fd);
    before(&o);
    return after(&o, posix_fallocate_real()(fd, off, len));
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
    struct op o = on_fd('A', fd);
    before(&o);
    return after(&o, fallocate_real()(fd, mode, off, len));
}

int renameat2(int dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    struct op o = on_name('R', dir, from, true);
    full_path(to_dir, to, o.to);
    before(&o);
    return after(&o, renameat2_real()(dir, from, to_dir, to, flags));
}

int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
    struct op o = on_name('U', dir, path, true);
    before(&o);
    return after(&o, unlinkat_real()(dir, path, flags));
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    struct op o = on_name('M', dir, path, false);
    before(&o);
    return after(&o, mkdirat_real()(dir, path, mode));
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* One that creates, or empties what is there (logged as T, then), or neither. */
static int do_open(int dir, const char *path, int flags, mode_t mode)
{
    struct op o = {0};
    if (flags & (O_CREAT | O_TRUNC))
        o = on_name('O', dir, path, false);
    if (!o.whose && flags & O_TRUNC)
        o = on_name('T', dir, path, true);
    before(&o);
    return after(&o, openat_real()(dir, path, flags, mode));
}

static mode_t mode_of(int flags, va_list ap)
{
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return do_open(dir, path, flags, mode);
}

int mkostemp(char *path, int flags)
{
    struct op o = on_name('O', AT_FDCWD, path, false);
    before(&o);
    int fd = mkostemp_real()(path, flags);
    full_path(AT_FDCWD, path, o.path); /* its name is known now */
    return after(&o, fd);
}

/* The same functions where off_t has 64 bits: SQLite asks for them by these names. */
ssize_t pwrite64(int fd, const void *p, size_t len, off_t off) __attribute__((alias("pwrite")));
int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));
int open64(const char *path, int flags, ...) __attribute__((alias("open")));
