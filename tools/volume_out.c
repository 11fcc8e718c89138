/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tools/volume_out.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err check_name(const char *path, bool replace)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT)
            return err_from_errno(errno);
        return lstat(path, &st) == 0 ? ERR_UNSUPPORTED : ERR_OK; /* a link that leads nowhere */
    }
    if (!S_ISREG(st.st_mode))
        return ERR_UNSUPPORTED;
    return replace ? ERR_OK : ERR_CONFLICT;
}

/* The folder of path: "." when it has none. err: RANGE */
static enum err folder_of(const char *path, char ret[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = !slash ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= PATH_MAX)
        return ERR_RANGE;
    memcpy(ret, slash ? path : ".", len);
    ret[len] = 0;
    return ERR_OK;
}

static enum err open_named(struct volume_out *out)
{
    int n = snprintf(out->temp, sizeof out->temp, "%s" FILE_PART "XXXXXX", out->path);
    if (n < 0 || (size_t)n >= sizeof out->temp) {
        out->temp[0] = 0;
        return ERR_RANGE;
    }
    out->fd = mkostemp(out->temp, O_CLOEXEC);
    if (out->fd >= 0)
        return ERR_OK;
    out->temp[0] = 0;
    return err_from_errno(errno);
}

/* A file without a name is gone with the process, however that ends. */
static enum err open_nameless(struct volume_out *out)
{
    char folder[PATH_MAX];
    TRY(folder_of(out->path, folder));
    out->fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (out->fd >= 0)
        return ERR_OK;
    /* EOPNOTSUPP: the file system cannot; EISDIR: the kernel, or a FUSE file system, does not know it */
    return errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL ? ERR_UNSUPPORTED
                                                                     : err_from_errno(errno);
}

enum err volume_out_create(const char *path, bool replace, uint64_t size, struct volume_out *ret)
{
    *ret = (struct volume_out){.path = path, .replace = replace, .fd = -1};
    TRY(check_name(path, replace));
    enum err err = open_nameless(ret);
    if (err == ERR_UNSUPPORTED)
        err = open_named(ret);
    if (err == ERR_OK && size > INT64_MAX)
        err = ERR_RANGE;
    if (err == ERR_OK && ftruncate(ret->fd, (off_t)size) != 0)
        err = err_from_errno(errno);
    if (err != ERR_OK)
        volume_out_discard(ret);
    return err;
}

static enum err write_at(int fd, uint64_t off, const uint8_t *p, size_t len)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, p, len, (off_t)off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? err_from_errno(errno) : ERR_IO;
        p += n;
        off += (uint64_t)n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

static bool is_zero(const uint8_t *p, size_t len)
{
    return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* Bytes from off on that are all zero blocks (zero) or all others, at least one block. */
static size_t run_length(const uint8_t *p, size_t len, bool zero)
{
    size_t run = 0;
    while (run < len) {
        size_t n = len - run < VOLUME_OUT_BLOCK ? len - run : VOLUME_OUT_BLOCK;
        if (is_zero(p + run, n) != zero)
            break;
        run += n;
    }
    return run;
}

enum err volume_out_write(struct volume_out *out, uint64_t off, const void *buf, size_t len)
{
    const uint8_t *p = buf;
    uint64_t begin = off, end = off + len;
    while (len > 0) {
        size_t skip = run_length(p, len, true);
        size_t n = run_length(p + skip, len - skip, false);
        if (n > 0)
            TRY(write_at(out->fd, off + skip, p + skip, n));
        out->written += n;
        p += skip + n;
        off += skip + n;
        len -= skip + n;
    }
    /* Start its way to the disk now, so that the fsync in the end has little left to wait for. A hint: where
     * it fails, fsync tells. */
    (void)sync_file_range(out->fd, (off64_t)begin, (off64_t)(end - begin), SYNC_FILE_RANGE_WRITE);
    return ERR_OK;
}

/* Give the nameless file a name. linkat() replaces nothing, so a file that is to be replaced is renamed over.
 */
static enum err link_as(int fd, const char *path)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err link_beside(struct volume_out *out)
{
    for (unsigned i = 0; i < 1000; i++) {
        int n = snprintf(out->temp, sizeof out->temp, "%s" FILE_PART "%d-%u", out->path, (int)getpid(), i);
        enum err err = n < 0 || (size_t)n >= sizeof out->temp ? ERR_RANGE : link_as(out->fd, out->temp);
        if (err == ERR_OK)
            return ERR_OK;
        out->temp[0] = 0;
        if (err != ERR_CONFLICT)
            return err;
    }
    return ERR_CONFLICT;
}

static enum err give_name(struct volume_out *out)
{
    if (!out->temp[0] && !out->replace)
        return link_as(out->fd, out->path);
    if (!out->temp[0])
        TRY(link_beside(out));
    int flags = out->replace ? 0 : RENAME_NOREPLACE;
    int failed = renameat2(AT_FDCWD, out->temp, AT_FDCWD, out->path, (unsigned)flags);
    if (failed && errno == EINVAL && flags) { /* this file system cannot promise it: look, then rename */
        TRY(check_name(out->path, false));
        failed = rename(out->temp, out->path);
    }
    if (failed)
        return err_from_errno(errno);
    out->temp[0] = 0;
    return ERR_OK;
}

/* Make the name durable. */
static enum err sync_folder(const char *path)
{
    char folder[PATH_MAX];
    TRY(folder_of(path, folder));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    enum err err = fsync(fd) != 0 && errno != EINVAL ? err_from_errno(errno) : ERR_OK;
    (void)close(fd);
    return err;
}

enum err volume_out_finish(struct volume_out *out)
{
    enum err err = fsync(out->fd) != 0 ? err_from_errno(errno) : ERR_OK;
    if (err == ERR_OK)
        err = give_name(out);
    if (err == ERR_OK)
        err = sync_folder(out->path);
    volume_out_discard(out);
    return err;
}

void volume_out_discard(struct volume_out *out)
{
    if (out->temp[0])
        (void)unlink(out->temp);
    out->temp[0] = 0;
    if (out->fd >= 0)
        (void)close(out->fd);
    out->fd = -1;
}
