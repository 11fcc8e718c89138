/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "formats/host/audit_chain.h"
#include "formats/host/audit_lines.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Where personal parts lie in the file. */
struct places {
    off_t off[AUDIT_ERASE_MAX];
    size_t len[AUDIT_ERASE_MAX];
    unsigned n;
};

static bool is_among(uint64_t n, const uint64_t *all, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (all[i] == n)
            return true;
    return false;
}

static enum err find_places(int fd, const uint64_t *n, unsigned count, struct places *ret)
{
    struct audit_lines r = {.fd = fd};
    struct audit_head head = {.n = 0};
    struct audit_entry e;
    const char *line = NULL;
    size_t len = 0, core, torn;
    for (;;) {
        TRY(audit_lines_next(&r, &line, &len, &torn));
        if (len == 0)
            return ERR_OK;
        TRY(audit_check_line(&head, line, len, &e));
        if (!is_among(e.n, n, count) || ret->n == AUDIT_ERASE_MAX)
            continue;
        TRY(audit_line_core(line, len, &core));
        ret->off[ret->n] = r.off + (off_t)core + 1;
        ret->len[ret->n++] = len - core - 2;
    }
}

static enum err blank(int fd, off_t off, size_t len)
{
    char spaces[AUDIT_LINE_MAX];
    memset(spaces, ' ', sizeof spaces);
    ssize_t n;
    do
        n = pwrite(fd, spaces, len, off);
    while (n < 0 && errno == EINTR);
    return n < 0 ? err_from_errno(errno) : (size_t)n < len ? ERR_FULL : ERR_OK;
}

/* First every first byte, durably: from then on a reader takes the part for erased, whatever a power cut
 * leaves of the rest. */
static enum err erase(int fd, const struct places *p)
{
    for (unsigned i = 0; i < p->n; i++)
        TRY(blank(fd, p->off[i], 1));
    if (fdatasync(fd) != 0)
        return err_from_errno(errno);
    for (unsigned i = 0; i < p->n; i++)
        TRY(blank(fd, p->off[i], p->len[i]));
    return fdatasync(fd) == 0 ? ERR_OK : err_from_errno(errno);
}

enum err audit_erase(const char *path, const uint64_t *n, unsigned count, unsigned *ret_n)
{
    struct places p = {.n = 0};
    int fd = -1;
    if (count > AUDIT_ERASE_MAX)
        return ERR_RANGE;
    TRY(audit_open_regular(path, O_RDWR, &fd)); /* not O_APPEND, with which pwrite() appends */
    enum err e = find_places(fd, n, count, &p);
    if (e == ERR_OK)
        e = erase(fd, &p);
    close(fd);
    TRY(e);
    *ret_n = p.n;
    return ERR_OK;
}
