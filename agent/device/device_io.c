/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/device/device_io.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum err device_open(const char *path, int *ret_fd)
{
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_from_errno(errno);
    if (fstat(fd, &s) < 0 || !(S_ISBLK(s.st_mode) || S_ISREG(s.st_mode))) {
        close(fd);
        return ERR_UNSUPPORTED;
    }
    *ret_fd = fd;
    return ERR_OK;
}

enum err device_size(int fd, uint64_t *ret)
{
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return ERR_IO;
    *ret = (uint64_t)end;
    return ERR_OK;
}

enum err device_read(int fd, uint64_t off, void *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, (uint8_t *)buf + done, len - done, (off_t)(off + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            return ERR_TRUNCATED;
        done += (size_t)n;
    }
    return ERR_OK;
}

static enum err read_at(void *ctx, uint64_t off, void *buf, size_t len)
{
    const int *fd = ctx;
    return device_read(*fd, off, buf, len);
}

struct volume_io device_io(const int *fd)
{
    union { /* the reader of a volume only reads */
        const int *in;
        void *out;
    } u = {.in = fd};
    return (struct volume_io){read_at, u.out};
}
