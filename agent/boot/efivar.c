/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/efivar.h"
#include "crypto/host/file.h"
#include "crypto/secret.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTRIBUTES 4

static enum err var_path(const char *dir, const char *name, const char *guid, char ret[static PATH_MAX])
{
    int n = snprintf(ret, PATH_MAX, "%s/%s-%s", dir, name, guid);
    return n > 0 && n < PATH_MAX ? ERR_OK : ERR_RANGE;
}

bool efivar_available(const char *dir)
{
    /* Without UEFI the directory is missing; where efivarfs is not mounted it is there, but empty. */
    DIR *d = opendir(dir);
    bool any = false;
    for (struct dirent *e; d && !any && (e = readdir(d));)
        any = e->d_name[0] != '.';
    if (d)
        (void)closedir(d);
    return any;
}

enum err efivar_read(const char *dir, const char *name, const char *guid, uint32_t *ret_attributes, void *ret,
                     size_t cap, size_t *ret_len)
{
    char path[PATH_MAX];
    uint8_t buf[ATTRIBUTES + EFIVAR_MAX + 1];

    TRY(var_path(dir, name, guid, path));
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_from_errno(errno);
    /* One read: efivarfs asks the firmware anew for each. */
    ssize_t n = read(fd, buf, sizeof buf);
    enum err e = n < 0 ? err_from_errno(errno) : ERR_OK;
    (void)close(fd);
    if (e == ERR_OK && n < ATTRIBUTES)
        e = ERR_TRUNCATED;
    else if (e == ERR_OK && ((size_t)n == sizeof buf || (size_t)n - ATTRIBUTES > cap))
        e = ERR_FULL;
    if (e == ERR_OK) {
        if (ret_attributes)
            *ret_attributes =
                (uint32_t)buf[0] | (uint32_t)buf[1] << 8 | (uint32_t)buf[2] << 16 | (uint32_t)buf[3] << 24;
        *ret_len = (size_t)n - ATTRIBUTES;
        memcpy(ret, buf + ATTRIBUTES, *ret_len);
    }
    cr_wipe(buf, sizeof buf);
    return e;
}

/* Clear the immutable flag that efivarfs sets on nearly every file; a file system that knows no such flag
 * (a test's) is fine as it is. */
static enum err make_mutable(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_from_errno(errno);

    int flags = 0;
    enum err e = ERR_OK;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) {
        if (errno != ENOTTY && errno != EOPNOTSUPP && errno != EINVAL)
            e = err_from_errno(errno);
    } else if (flags & FS_IMMUTABLE_FL) {
        flags &= ~FS_IMMUTABLE_FL;
        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0)
            e = err_from_errno(errno);
    }
    (void)close(fd);
    return e;
}

enum err efivar_write(const char *dir, const char *name, const char *guid, uint32_t attributes, const void *p,
                      size_t len)
{
    char path[PATH_MAX];
    uint8_t buf[ATTRIBUTES + EFIVAR_MAX];

    if (len > EFIVAR_MAX)
        return ERR_RANGE;
    TRY(var_path(dir, name, guid, path));
    enum err e = make_mutable(path);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    bool created = e == ERR_NOT_FOUND;

    for (unsigned i = 0; i < ATTRIBUTES; i++)
        buf[i] = (uint8_t)(attributes >> (8 * i));
    memcpy(buf + ATTRIBUTES, p, len);
    /* O_TRUNC only matters for a test's plain directory; efivarfs replaces the variable anyway. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return err_from_errno(errno);
    ssize_t n = write(fd, buf, ATTRIBUTES + len);
    e = n < 0 ? err_from_errno(errno) : (size_t)n != ATTRIBUTES + len ? ERR_IO : ERR_OK;
    (void)close(fd);
    /* A refused creation leaves an empty file behind, which every later reader would stumble over. */
    if (e != ERR_OK && created && make_mutable(path) == ERR_OK)
        (void)unlink(path);
    cr_wipe(buf, sizeof buf);
    return e;
}

enum err efivar_delete(const char *dir, const char *name, const char *guid)
{
    char path[PATH_MAX];
    struct stat st;

    TRY(var_path(dir, name, guid, path));
    TRY(make_mutable(path));
    /* EINVAL is the firmware's answer for a volatile variable; whatever the reason, it is still there. */
    if (unlink(path) < 0)
        return errno == EINVAL ? ERR_IO : err_from_errno(errno);
    if (lstat(path, &st) == 0)
        return ERR_IO;
    return errno == ENOENT ? ERR_OK : err_from_errno(errno);
}
