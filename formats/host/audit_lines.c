/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_lines.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
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

enum err audit_line_join(const char *line, size_t len, char ret[static AUDIT_LINE_MAX], size_t *ret_len)
{
    static const char erased[] = "\"erased\":true}";
    size_t core;
    if (len > AUDIT_LINE_MAX || len < 4 || line[len - 1] != '\n')
        return ERR_FORMAT;
    TRY(audit_line_core(line, len, &core));
    const char *personal = line + core + 1;
    size_t n = len - core - 2;
    bool gone = n > 0 && personal[0] == ' ';
    if (core < 2 || line[core - 1] != '}' || (!gone && (n < 2 || personal[0] != '{')) ||
        (gone && core + sizeof erased > AUDIT_LINE_MAX))
        return ERR_FORMAT;
    memcpy(ret, line, core);
    ret[core - 1] = ',';
    memcpy(ret + core, gone ? erased : personal + 1, gone ? sizeof erased - 1 : n - 1);
    *ret_len = core + (gone ? sizeof erased - 1 : n - 1);
    return ERR_OK;
}
