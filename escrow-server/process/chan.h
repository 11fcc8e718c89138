#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One end of a socketpair between two processes of the server: framed messages, never blocking. Buffers may
 * hold secrets, so what was taken or sent is wiped. */

#include "crypto/cursor.h"
#include "crypto/err.h"
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chan_buf {
    uint8_t *p;
    size_t len, cap;
};

struct chan {
    int fd;     /* -1: closed */
    size_t max; /* longest body taken or sent */
    struct chan_buf in, out;
    size_t from, to;    /* where in the input the last message lies */
    struct writer body; /* the message being made */
};

struct msg_frame {
    uint8_t type;        /* enum msg_type */
    uint64_t id;         /* of the request that an answer belongs to; 0 for what nobody asked for */
    const uint8_t *body; /* borrowed until the next call */
    size_t len;
};

/* Takes the file descriptor and makes it non-blocking. */
MUST_CHECK enum err chan_open(struct chan *c, int fd, size_t max);
/* Wipes and frees; takes one that is closed. */
void chan_close(struct chan *c);
static inline bool chan_is_open(const struct chan *c)
{
    return c->fd >= 0;
}

/* Read what is there. err: OFFLINE (the other end is gone), NOMEM */
MUST_CHECK enum err chan_fill(struct chan *c);
/* The next whole message. err: NOT_FOUND (none yet), FORMAT (the other end talks nonsense) */
MUST_CHECK enum err chan_next(struct chan *c, struct msg_frame *ret);

/* The whole messages that are there, one after the other, without taking them: *at is 0 at first, and is
 * moved on. Their bodies are borrowed until the next call of another function. err: as chan_next() */
MUST_CHECK enum err chan_look(const struct chan *c, size_t *at, struct msg_frame *ret);
/* One message, taken. err: any; it is nonsense then */
typedef enum err chan_take(void *ctx, struct chan *c, const struct msg_frame *m);
/* Read what is there and let take() have each message. Whatever the error, the channel is closed.
 * ret_type: the message that take() did not take, 0 where it is none; set with FORMAT only
 * err: OFFLINE (the other end is gone), NOMEM, FORMAT */
MUST_CHECK enum err chan_hear(struct chan *c, chan_take *take, void *ctx, uint8_t *ret_type);

/* Begin a message; the body is written through the cursor that is returned (NULL without memory). */
struct writer *chan_begin(struct chan *c, uint8_t type, uint64_t id);
/* End it; it goes with the next chan_flush(), so that several are one system call and wake the other end
 * once. err: FULL (body too long; it is dropped) */
MUST_CHECK enum err chan_put(struct chan *c);
/* End it, and send what the socket takes now. err: FULL (body too long; nothing is sent), OFFLINE */
MUST_CHECK enum err chan_end(struct chan *c);
/* Send what waits. err: OFFLINE */
MUST_CHECK enum err chan_flush(struct chan *c);
static inline bool chan_waits(const struct chan *c)
{
    return c->fd >= 0 && c->out.len > 0;
}
/* What poll() is to wait for; a closed one is passed over. */
static inline struct pollfd chan_poll(const struct chan *c)
{
    return (struct pollfd){c->fd, (short)(chan_waits(c) ? POLLIN | POLLOUT : POLLIN), 0};
}
/* poll() said so: what waits is sent. Is there something to be read? */
bool chan_polled(struct chan *c, short revents);
