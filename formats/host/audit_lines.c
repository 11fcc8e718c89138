/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_lines.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum err audit_lines_next(struct audit_lines *r, const char **ret, size_t *ret_len, size_t *ret_torn)
{
    r->off += (off_t)r->last;
    r->last = 0;
    for (;;) {
        char *line = r->buf + r->start, *end = memchr(line, '\n', r->end - r->start);
        if (end) {
            *ret = line;
            *ret_len = r->last = (size_t)(end - line) + 1;
            r->start += *ret_len;
            return ERR_OK;
        }
        memmove(r->buf, line, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
        if (r->end > AUDIT_LINE_MAX)
            return ERR_RANGE;
        ssize_t n = read(r->fd, r->buf + r->end, sizeof r->buf - r->end);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0) {
            *ret_len = 0;
            *ret_torn = r->end;
            return ERR_OK;
        }
        r->end += (size_t)n;
    }
}

enum err audit_open_regular(const char *path, int flags, int *ret)
{
    struct stat st;
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return errno == ELOOP || errno == EISDIR ? ERR_FORMAT : err_from_errno(errno);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return ERR_FORMAT;
    }
    *ret = fd;
    return ERR_OK;
}

enum err audit_line_core(const char *line, size_t len, size_t *ret)
{
    const char *tab = memchr(line, '\t', len);
    if (tab == NULL)
        return ERR_FORMAT;
    *ret = (size_t)(tab - line);
    return ERR_OK;
}
