/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/chan.h"
#include "crypto/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_HEAD (4 + 1 + 8) /* length of the rest, type, request */
#define FILL_STEP  65536

/* realloc() would leave the old bytes behind. Doubled: by the length of one message, each that waits behind
 * another would copy and wipe them all. */
static enum err grow(struct chan_buf *b, size_t want)
{
    if (want <= b->cap)
        return ERR_OK;
    if (want < 2 * b->cap)
        want = 2 * b->cap;
    uint8_t *p = malloc(want);
    if (p == NULL)
        return ERR_NOMEM;
    if (b->p != NULL) {
        memcpy(p, b->p, b->len);
        cr_wipe(b->p, b->cap);
        free(b->p);
    }
    b->p = p;
    b->cap = want;
    return ERR_OK;
}

static void drop_front(struct chan_buf *b, size_t n)
{
    memmove(b->p, b->p + n, b->len - n);
    cr_wipe(b->p + b->len - n, n);
    b->len -= n;
}

static void buf_free(struct chan_buf *b)
{
    if (b->p != NULL)
        cr_wipe(b->p, b->cap);
    free(b->p);
    *b = (struct chan_buf){0};
}

enum err chan_open(struct chan *c, int fd, size_t max)
{
    *c = (struct chan){.fd = fd, .max = max};
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return ERR_IO;
    return ERR_OK;
}

void chan_close(struct chan *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->from = c->to = 0;
    buf_free(&c->in);
    buf_free(&c->out);
}

enum err chan_fill(struct chan *c)
{
    if (c->to > 0)
        drop_front(&c->in, c->to);
    c->from = c->to = 0;
    while (c->in.len < FRAME_HEAD + c->max) {
        TRY(grow(&c->in, c->in.len + FILL_STEP));
        size_t room = c->in.cap - c->in.len;
        ssize_t n = recv(c->fd, c->in.p + c->in.len, room, 0);
        if (n == 0)
            return ERR_OFFLINE;
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? ERR_OK : ERR_OFFLINE;
        c->in.len += (size_t)n;
        if ((size_t)n < room) /* that was all; an end of it shows at the next call */
            break;
    }
    return ERR_OK;
}

/* The message in the input from a place on. ret_len: with its head */
static enum err read_frame(const struct chan *c, size_t from, struct msg_frame *ret, size_t *ret_len)
{
    struct reader r;
    reader_init(&r, c->in.p == NULL ? NULL : c->in.p + from, c->in.len - from);
    uint32_t rest = reader_u32(&r);
    if (r.err != ERR_OK)
        return ERR_NOT_FOUND;
    if (rest < FRAME_HEAD - 4 || rest - (FRAME_HEAD - 4) > c->max)
        return ERR_FORMAT;
    struct msg_frame m = {.type = reader_u8(&r), .id = reader_u64(&r), .len = rest - (FRAME_HEAD - 4)};
    m.body = reader_take(&r, m.len);
    if (r.err != ERR_OK)
        return ERR_NOT_FOUND;
    *ret = m;
    *ret_len = 4 + (size_t)rest;
    return ERR_OK;
}

enum err chan_next(struct chan *c, struct msg_frame *ret)
{
    size_t len;
    if (c->to > c->from)
        cr_wipe(c->in.p + c->from, c->to - c->from);
    c->from = c->to;
    TRY(read_frame(c, c->from, ret, &len));
    c->to = c->from + len;
    return ERR_OK;
}

enum err chan_look(const struct chan *c, size_t *at, struct msg_frame *ret)
{
    size_t len;
    TRY(read_frame(c, c->to + *at, ret, &len));
    *at += len;
    return ERR_OK;
}

enum err chan_hear(struct chan *c, chan_take *take, void *ctx, uint8_t *ret_type)
{
    struct msg_frame m = {.type = 0};
    enum err gone = chan_fill(c), e = ERR_OK; /* what came before it went is heard */
    while (chan_is_open(c) && (e = chan_next(c, &m)) == ERR_OK)
        if (take(ctx, c, &m) != ERR_OK) {
            *ret_type = m.type;
            chan_close(c);
            return ERR_FORMAT;
        }
    if (e == ERR_FORMAT)
        *ret_type = 0;
    else
        e = gone;
    if (e != ERR_OK)
        chan_close(c);
    return e;
}

struct writer *chan_begin(struct chan *c, uint8_t type, uint64_t id)
{
    if (grow(&c->out, c->out.len + FRAME_HEAD + c->max) != ERR_OK)
        return NULL;
    writer_init(&c->body, c->out.p + c->out.len, FRAME_HEAD + c->max);
    writer_u32(&c->body, 0); /* set at the end */
    writer_u8(&c->body, type);
    writer_u64(&c->body, id);
    return &c->body;
}

enum err chan_put(struct chan *c)
{
    size_t len;
    TRY(writer_end(&c->body, &len));
    struct writer head;
    writer_init(&head, c->out.p + c->out.len, 4);
    writer_u32(&head, (uint32_t)(len - 4));
    c->out.len += len;
    return ERR_OK;
}

enum err chan_end(struct chan *c)
{
    TRY(chan_put(c));
    return chan_flush(c);
}

enum err chan_flush(struct chan *c)
{
    while (c->out.len > 0) {
        ssize_t n = send(c->fd, c->out.p, c->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? ERR_OK : ERR_OFFLINE;
        drop_front(&c->out, (size_t)n);
    }
    return ERR_OK;
}

bool chan_polled(struct chan *c, short revents)
{
    if ((revents & POLLOUT) != 0 && chan_is_open(c) && chan_flush(c) != ERR_OK)
        chan_close(c);
    return (revents & ~POLLOUT) != 0 && chan_is_open(c);
}
