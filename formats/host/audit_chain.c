/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/audit_chain.h"
#include "crypto/hash.h"
#include "crypto/host/file.h"
#include "crypto/random.h"
#include "formats/base.h"
#include "formats/host/audit_line.h"
#include "formats/host/audit_lines.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct audit_chain {
    int fd;
    off_t size; /* bytes of whole entries; what else comes to stand in the file is not ours */
    struct audit_head head;
    char *path;
    bool broken; /* an entry of unknown durability may be in the file */
};

static enum err verify_fd(int fd, audit_visit *visit, void *ctx, struct audit_head *ret_head,
                          size_t *ret_torn)
{
    struct audit_lines r = {.fd = fd};
    struct audit_entry entry;
    const char *line = NULL;
    size_t len = 0;
    memset(ret_head, 0, sizeof *ret_head);
    for (;;) {
        TRY(audit_lines_next(&r, &line, &len, ret_torn));
        if (len == 0)
            return ERR_OK;
        TRY(audit_check_line(ret_head, line, len, &entry));
        if (visit)
            TRY(visit(ctx, &entry, line, len));
    }
}

enum err audit_verify(const char *path, audit_visit *visit, void *ctx, struct audit_head *ret_head,
                      size_t *ret_torn)
{
    int fd = -1;
    TRY(audit_open_regular(path, O_RDONLY, &fd));
    *ret_torn = 0;
    enum err err = verify_fd(fd, visit, ctx, ret_head, ret_torn);
    close(fd);
    return err;
}

/* A new file is there for good only when its folder is on disk, too. */
static enum err sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!folder)
        return ERR_NOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (fd < 0)
        return err_from_errno(errno);
    enum err err = fsync(fd) == 0 ? ERR_OK : err_from_errno(errno);
    close(fd);
    return err;
}

static enum err append_own(struct audit_chain *c, uint64_t now, const char *note)
{
    struct audit_entry e = {.time = now, .who = "keyholt", .role = "system", .action = AUDIT_OPEN_LOG};
    snprintf(e.note, sizeof e.note, "%s", note);
    return audit_append(c, &e);
}

static enum err start_chain(struct audit_chain *c, uint64_t now)
{
    uint8_t id[16];
    TRY(cr_random(id, sizeof id));
    base16_encode(id, sizeof id, c->head.chain);
    TRY(sync_folder(c->path));
    return append_own(c, now, "the log was made");
}

static enum err cut_torn(struct audit_chain *c, size_t torn, uint64_t now)
{
    char note[96];
    if (ftruncate(c->fd, c->size) != 0 || fdatasync(c->fd) != 0)
        return err_from_errno(errno);
    snprintf(note, sizeof note, "a torn last line of %zu bytes was cut off", torn);
    return append_own(c, now, note);
}

static enum err take_over(struct audit_chain *c, bool may_start, uint64_t now)
{
    size_t torn = 0;
    if (flock(c->fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? ERR_BUSY : err_from_errno(errno);
    TRY(verify_fd(c->fd, NULL, NULL, &c->head, &torn));
    off_t end = lseek(c->fd, 0, SEEK_END);
    if (end < 0)
        return err_from_errno(errno);
    c->size = end - (off_t)torn;
    if (c->head.n == 0 && !may_start)
        return ERR_CONFLICT;
    if (c->head.n == 0 && torn == 0)
        return start_chain(c, now);
    if (c->head.n == 0) {
        /* The very first entry was torn: begin as if it had never been. */
        if (ftruncate(c->fd, 0) != 0)
            return err_from_errno(errno);
        return start_chain(c, now);
    }
    return torn ? cut_torn(c, torn, now) : ERR_OK;
}

static enum err open_chain(const char *path, bool may_start, uint64_t now, struct audit_chain **ret)
{
    struct audit_chain *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    c->fd = -1;
    c->path = strdup(path);
    enum err err = c->path ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK)
        err = audit_open_regular(path, (may_start ? O_CREAT : 0) | O_RDWR | O_APPEND, &c->fd);
    if (err == ERR_OK)
        err = take_over(c, may_start, now);
    if (err != ERR_OK) {
        audit_close(c);
        return err;
    }
    *ret = c;
    return ERR_OK;
}

enum err audit_open(const char *path, uint64_t now, struct audit_chain **ret)
{
    return open_chain(path, true, now, ret);
}

enum err audit_open_made(const char *path, uint64_t now, struct audit_chain **ret)
{
    return open_chain(path, false, now, ret);
}

/* Somebody who shortens, extends, deletes or replaces the open file would make the next entry a lie: it would
 * stand where no auditor looks. */
static enum err check_file(const struct audit_chain *c)
{
    struct stat st, named;
    if (fstat(c->fd, &st) != 0)
        return err_from_errno(errno);
    if (lstat(c->path, &named) != 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_CONFLICT : err_from_errno(errno);
    return st.st_size == c->size && st.st_dev == named.st_dev && st.st_ino == named.st_ino ? ERR_OK
                                                                                           : ERR_CONFLICT;
}

static enum err write_durably(struct audit_chain *c, const char *line, size_t len)
{
    ssize_t n;
    do
        n = write(c->fd, line, len);
    while (n < 0 && errno == EINTR);
    enum err err = n < 0 ? err_from_errno(errno) : (size_t)n < len ? ERR_FULL : ERR_OK;
    if (err == ERR_OK && fdatasync(c->fd) != 0) {
        err = err_from_errno(errno);
        c->broken = true;
    }
    if (err != ERR_OK && ftruncate(c->fd, c->size) != 0)
        c->broken = true;
    return err;
}

enum err audit_append(struct audit_chain *c, const struct audit_entry *entry)
{
    char line[AUDIT_LINE_MAX];
    uint8_t hash[32];
    size_t len, core;
    if (c->broken)
        return ERR_IO;
    TRY(audit_line_encode(&c->head, entry, line, &len));
    TRY(check_file(c));
    TRY(audit_line_core(line, len, &core));
    TRY(cr_sha256(line, core, hash));
    TRY(write_durably(c, line, len));
    memcpy(c->head.hash, hash, sizeof hash);
    c->head.n++;
    c->size += (off_t)len;
    return ERR_OK;
}

void audit_get_head(const struct audit_chain *c, struct audit_head *ret)
{
    *ret = c->head;
}

uint64_t audit_size(const struct audit_chain *c)
{
    return (uint64_t)c->size;
}

void audit_close(struct audit_chain *c)
{
    if (!c)
        return;
    if (c->fd >= 0)
        close(c->fd);
    free(c->path);
    free(c);
}
