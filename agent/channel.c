/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/channel.h"
#include "crypto/cursor.h"
#include "crypto/host/file.h"
#include "crypto/host/monotonic.h"
#include "crypto/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_STEP  65536u
#define UNSENT_MAX MSG_FRAME_MAX /* a peer that asks and never reads must not fill our memory */

static enum err address(const char *path, struct sockaddr_un *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof ret->sun_path)
        return ERR_RANGE;
    memcpy(ret->sun_path, path, strlen(path));
    return ERR_OK;
}

enum err channel_listen(const char *path, mode_t mode, int *ret_fd)
{
    struct sockaddr_un a;
    TRY(address(path, &a));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_from_errno(errno);
    (void)unlink(path);
    /* nobody connects between bind and chmod: the socket does not listen yet */
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || chmod(path, mode) < 0 || listen(fd, 8) < 0) {
        enum err e = err_from_errno(errno);
        close(fd);
        return e;
    }
    *ret_fd = fd;
    return ERR_OK;
}

enum err channel_accept(int listen_fd, struct channel *ret, uid_t *ret_uid)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? ERR_BUSY : err_from_errno(errno);
    struct ucred who;
    socklen_t len = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0) {
        close(fd);
        return ERR_IO;
    }
    *ret = (struct channel){.fd = fd};
    *ret_uid = who.uid;
    return ERR_OK;
}

enum err channel_connect(const char *path, struct channel *ret)
{
    struct sockaddr_un a;
    TRY(address(path, &a));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_from_errno(errno);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        enum err e = errno == ECONNREFUSED || errno == EAGAIN ? ERR_OFFLINE : err_from_errno(errno);
        close(fd);
        return e;
    }
    *ret = (struct channel){.fd = fd};
    return ERR_OK;
}

void channel_adopt(int fd, struct channel *ret)
{
    (void)fcntl(fd, F_SETFL,
                O_NONBLOCK); /* it has no other flags, and fails only for what is no descriptor */
    *ret = (struct channel){.fd = fd};
}

static void drop(uint8_t **p, size_t len)
{
    if (*p)
        cr_wipe(*p, len);
    free(*p);
    *p = NULL;
}

void channel_close(struct channel *c)
{
    if (c->fd >= 0)
        close(c->fd);
    drop(&c->in, c->in_cap);
    drop(&c->out, c->out_len);
    *c = (struct channel){.fd = -1};
}

/* A larger buffer by hand: realloc() would leave the old bytes unwiped. */
static enum err grow(struct channel *c)
{
    if (c->in_cap - c->in_len >= READ_STEP / 2)
        return ERR_OK;
    size_t cap = c->in_cap ? c->in_cap * 2 : READ_STEP;
    if (cap > 4 * (size_t)MSG_FRAME_MAX)
        return ERR_RANGE;
    uint8_t *p = malloc(cap);
    if (!p)
        return ERR_NOMEM;
    if (c->in_len)
        memcpy(p, c->in, c->in_len);
    drop(&c->in, c->in_cap);
    c->in = p;
    c->in_cap = cap;
    return ERR_OK;
}

static void release(struct channel *c)
{
    if (!c->in_used)
        return;
    size_t left = c->in_len - c->in_used;
    memmove(c->in, c->in + c->in_used, left);
    cr_wipe(c->in + left, c->in_used);
    c->in_len = left;
    c->in_used = 0;
    if (!left)
        drop(&c->in, c->in_cap), c->in_cap = 0;
}

enum err channel_fill(struct channel *c)
{
    release(c);
    for (;;) {
        TRY(grow(c));
        ssize_t n = read(c->fd, c->in + c->in_len, c->in_cap - c->in_len);
        if (n > 0)
            c->in_len += (size_t)n;
        else if (n == 0 || errno == ECONNRESET)
            return ERR_OFFLINE;
        else if (errno == EAGAIN)
            return ERR_OK;
        else if (errno != EINTR)
            return err_from_errno(errno);
        if (n > 0 && c->in_len > MSG_FRAME_MAX)
            return ERR_OK; /* enough for one message; the rest waits in the socket */
    }
}

bool channel_has_message(const struct channel *c)
{
    size_t have = c->in_len - c->in_used;
    if (have < MSG_FRAME_HEAD)
        return false;
    struct reader r;
    reader_init(&r, c->in + c->in_used, have);
    uint32_t len = reader_u32(&r);
    return len > MSG_FRAME_MAX || have - 4 >= len; /* too large a frame is to be refused now, too */
}

enum err channel_next(struct channel *c, struct msg *ret)
{
    release(c);
    if (c->in_len < MSG_FRAME_HEAD)
        return ERR_NOT_FOUND;
    struct reader r;
    reader_init(&r, c->in, c->in_len);
    uint32_t len = reader_u32(&r);
    if (len > MSG_FRAME_MAX)
        return ERR_RANGE;
    if (c->in_len - 4 < len)
        return ERR_NOT_FOUND;
    TRY(msg_decode(c->in + 4, len, ret));
    c->in_used = 4 + (size_t)len;
    return ERR_OK;
}

enum err channel_flush(struct channel *c)
{
    while (c->out_off < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);
        if (n >= 0)
            c->out_off += (size_t)n;
        else if (errno == EAGAIN)
            return ERR_OK;
        else if (errno == EPIPE || errno == ECONNRESET)
            return ERR_OFFLINE;
        else if (errno != EINTR)
            return err_from_errno(errno);
    }
    drop(&c->out, c->out_len);
    c->out_len = c->out_off = 0;
    return ERR_OK;
}

enum err channel_queue(struct channel *c, const struct msg *m)
{
    uint8_t *p;
    size_t len;
    if (c->out_len - c->out_off > UNSENT_MAX)
        return ERR_FULL;
    TRY(msg_encode(m, &p, &len));
    if (c->out) { /* behind what still waits */
        size_t left = c->out_len - c->out_off;
        uint8_t *both = malloc(left + len);
        if (!both) {
            drop(&p, len);
            return ERR_NOMEM;
        }
        memcpy(both, c->out + c->out_off, left);
        memcpy(both + left, p, len);
        drop(&p, len);
        drop(&c->out, c->out_len);
        p = both;
        len += left;
    }
    c->out = p;
    c->out_len = len;
    c->out_off = 0;
    return channel_flush(c);
}

short channel_events(const struct channel *c)
{
    return (short)(POLLIN | (c->out ? POLLOUT : 0));
}

static enum err wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms < 0 ? -1 : deadline_ms - monotonic_ms();
        if (deadline_ms >= 0 && left < 0)
            return ERR_TIMEOUT;
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, (int)left);
        if (n > 0)
            return ERR_OK;
        if (n == 0)
            return ERR_TIMEOUT;
        if (errno != EINTR)
            return err_from_errno(errno);
    }
}

enum err channel_send(struct channel *c, const struct msg *m, int timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? -1 : monotonic_ms() + timeout_ms;
    TRY(channel_queue(c, m));
    while (c->out) {
        TRY(wait_for(c->fd, POLLOUT, deadline));
        TRY(channel_flush(c));
    }
    return ERR_OK;
}

enum err channel_recv(struct channel *c, int timeout_ms, struct msg *ret)
{
    int64_t deadline = timeout_ms < 0 ? -1 : monotonic_ms() + timeout_ms;
    for (;;) {
        enum err e = channel_next(c, ret);
        if (e != ERR_NOT_FOUND)
            return e;
        TRY(wait_for(c->fd, POLLIN, deadline));
        /* the peer may close right behind its last message: hand that out first */
        e = channel_fill(c);
        if (e != ERR_OK) {
            enum err last = channel_next(c, ret);
            return last == ERR_NOT_FOUND ? e : last;
        }
    }
}
