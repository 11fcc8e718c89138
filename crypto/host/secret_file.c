/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Read to the end, straight into buf: stdio would keep a copy in a buffer that nobody wipes. */
static enum err read_to_end(int fd, uint8_t *buf, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, buf + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            break;
        len += (size_t)n;
        if (len == cap)
            return ERR_RANGE;
    }
    *ret_len = len;
    return ERR_OK;
}

static enum err secret_from_fd(int fd, struct secret *ret)
{
    uint8_t buf[SECRET_MAX + 2]; /* a newline, and one more to notice what is too long */
    size_t len = 0;
    enum err e = read_to_end(fd, buf, sizeof buf, &len);
    if (e == ERR_OK && len > 0 && buf[len - 1] == '\n')
        len--;
    if (e == ERR_OK && len == 0)
        e = ERR_FORMAT;
    if (e == ERR_OK && len > SECRET_MAX)
        e = ERR_RANGE;
    if (e == ERR_OK) {
        secret_wipe(ret);
        memcpy(ret->bytes, buf, len);
        ret->len = len;
    }
    cr_wipe(buf, sizeof buf);
    return e;
}

enum err secret_from_file(const char *path, struct secret *ret)
{
    if (strcmp(path, "-") == 0)
        return secret_from_fd(STDIN_FILENO, ret);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_from_errno(errno);
    enum err e = secret_from_fd(fd, ret);
    (void)close(fd);
    return e;
}

const char *secret_file_text(enum err e)
{
    switch (e) {
    case ERR_FORMAT:
        return "it is empty, and a password is wanted in it";
    case ERR_RANGE:
        return "it is too long for a password";
    default:
        return err_text(e);
    }
}
