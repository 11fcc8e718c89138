/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_READ 4096

enum err err_from_errno(int e)
{
    switch (e) {
    case 0:
        return ERR_OK;
    case ENOMEM:
        return ERR_NOMEM;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case EEXIST:
        return ERR_CONFLICT;
    case EAGAIN:
    case EBUSY:
        return ERR_BUSY;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case ENAMETOOLONG:
    case EFBIG:
    case ERANGE:
        return ERR_RANGE;
    case ENOSYS:
    case EOPNOTSUPP:
        return ERR_UNSUPPORTED;
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return ERR_OFFLINE;
    }
    return ERR_IO;
}

/* Move to a larger buffer; the old one may have held a key. */
static uint8_t *grow(uint8_t *old, size_t old_cap, size_t cap)
{
    uint8_t *p = malloc(cap);
    if (p && old)
        memcpy(p, old, old_cap);
    if (old)
        cr_wipe(old, old_cap);
    free(old);
    return p;
}

/* Read fd to its end. The size that stat gives is not asked: it is wrong in /proc, /sys and efivarfs. */
static enum err read_all(int fd, size_t max, uint8_t **ret, size_t *ret_len)
{
    size_t cap = 0, len = 0;
    uint8_t *buf = NULL;
    enum err e = ERR_OK;
    for (ssize_t n = 1; n != 0;) {
        if (len == cap) {
            buf = grow(buf, cap, cap ? cap * 2 : FIRST_READ);
            if (!buf)
                return ERR_NOMEM;
            cap = cap ? cap * 2 : FIRST_READ;
        }
        n = read(fd, buf + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        e = n < 0 ? err_from_errno(errno) : len + (size_t)n > max ? ERR_RANGE : ERR_OK;
        if (e != ERR_OK)
            break;
        len += (size_t)n;
    }
    if (e != ERR_OK) {
        cr_wipe(buf, cap);
        free(buf);
        return e;
    }
    buf[len] = 0; /* a loop that ended found room for one byte more */
    *ret = buf;
    *ret_len = len;
    return ERR_OK;
}

enum err file_read(const char *path, size_t max, uint8_t **ret, size_t *ret_len)
{
    /* O_NONBLOCK: a FIFO in the place of a file must not hold us up. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_from_errno(errno);
    struct stat st;
    enum err e = fstat(fd, &st) != 0 ? err_from_errno(errno) : !S_ISREG(st.st_mode) ? ERR_IO : ERR_OK;
    if (e == ERR_OK)
        e = read_all(fd, max, ret, ret_len);
    (void)close(fd);
    return e;
}

static enum err write_all(int fd, const void *p, size_t len)
{
    const uint8_t *b = p;
    while (len > 0) {
        ssize_t n = write(fd, b, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        b += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

static enum err open_folder_of(const char *path, int *ret_fd)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 1;
    if (len >= sizeof dir)
        return ERR_RANGE;
    memcpy(dir, slash ? path : ".", len);
    dir[len] = 0;
    int fd = open(len ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    *ret_fd = fd;
    return ERR_OK;
}

enum err file_hold_folder(const char *path, int *ret_fd)
{
    int fd;
    TRY(open_folder_of(path, &fd));
    while (flock(fd, LOCK_EX) != 0)
        if (errno != EINTR) {
            enum err e = err_from_errno(errno);
            (void)close(fd);
            return e;
        }
    *ret_fd = fd;
    return ERR_OK;
}

/* Make the entries of the folder that holds path durable. */
static enum err sync_folder_of(const char *path)
{
    enum err e = ERR_OK;
    int fd;
    TRY(open_folder_of(path, &fd));
    if (fsync(fd) != 0 && errno != EINVAL) /* vfat and efivarfs of some kernels cannot */
        e = err_from_errno(errno);
    (void)close(fd);
    return e;
}

#define WRITER ((uid_t)-1)

struct ownership {
    uid_t uid; /* WRITER: whoever writes */
    gid_t gid;
    mode_t mode;
};

/* Fill the temporary file; closes fd. */
static enum err fill(int fd, const void *p, size_t len, const struct ownership *o)
{
    enum err e = write_all(fd, p, len);
    if (e == ERR_OK && o->uid != WRITER && fchown(fd, o->uid, o->gid) != 0)
        e = err_from_errno(errno);
    if (e == ERR_OK && (fchmod(fd, o->mode) != 0 || fsync(fd) != 0))
        e = err_from_errno(errno);
    if (close(fd) != 0 && e == ERR_OK)
        e = err_from_errno(errno);
    return e;
}

static enum err write_owned(const char *path, const void *p, size_t len, const struct ownership *o)
{
    char temp[PATH_MAX];
    if ((size_t)snprintf(temp, sizeof temp, "%s" FILE_PART "XXXXXX", path) >= sizeof temp)
        return ERR_RANGE;
    int fd = mkostemp(temp, O_CLOEXEC); /* 0600 until it is complete */
    if (fd < 0)
        return err_from_errno(errno);
    enum err e = fill(fd, p, len, o);
    if (e == ERR_OK && rename(temp, path) != 0)
        e = err_from_errno(errno);
    if (e != ERR_OK) {
        (void)unlink(temp);
        return e;
    }
    return sync_folder_of(path);
}

enum err file_write(const char *path, const void *p, size_t len, mode_t mode)
{
    return write_owned(path, p, len, &(struct ownership){.uid = WRITER, .mode = mode});
}

enum err file_replace(const char *path, const void *p, size_t len)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_from_errno(errno);
    return write_owned(path, p, len, &(struct ownership){st.st_uid, st.st_gid, st.st_mode & 07777});
}

/* One folder, unless it is there. */
static enum err make_folder(const char *path, mode_t mode)
{
    struct stat st;
    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) != 0) /* mkdir's mode went through the umask */
            return err_from_errno(errno);
        return sync_folder_of(path);
    }
    if (errno == EEXIST)
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? ERR_OK : ERR_IO;
    return err_from_errno(errno);
}

enum err file_mkdirs(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof part)
        return ERR_RANGE;
    for (size_t i = 1; i < len; i++) {
        if (path[i] != '/' || path[i - 1] == '/')
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        TRY(make_folder(part, 0755));
    }
    memcpy(part, path, len);
    part[len] = 0;
    return make_folder(part, mode);
}

enum err file_join(const char *root, const char *path, char *ret, size_t cap)
{
    size_t n = root ? strlen(root) : 0, m = strlen(path);
    while (n > 0 && root[n - 1] == '/')
        n--; /* so "/" and "dir/" do not make a double slash */
    size_t slash = n > 0 && path[0] != '/';
    if (n + slash + m >= cap)
        return ERR_RANGE;
    if (n > 0)
        memcpy(ret, root, n);
    if (slash)
        ret[n] = '/';
    memcpy(ret + n + slash, path, m + 1);
    return ERR_OK;
}
