#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One end of a UNIX socket that carries messages (agent/msg.h): buffered for a poll loop, or blocking with
 * a deadline. Every buffer is wiped before it is freed, because a frame may carry a passphrase. */

#include "agent/msg.h"
#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct channel {
    int fd; /* -1 when closed; non-blocking */
    uint8_t *in, *out;
    size_t in_len, in_cap, in_used; /* in_used: bytes of the message last handed out */
    size_t out_len, out_off;
};

/* Listen on a path; a stale socket there is replaced. ret_fd: non-blocking, close-on-exec.
 * err: RANGE (path too long), DENIED, IO */
MUST_CHECK enum err channel_listen(const char *path, mode_t mode, int *ret_fd);
/* Accept one peer and look who it is (SO_PEERCRED). err: BUSY (nobody there), IO */
MUST_CHECK enum err channel_accept(int listen_fd, struct channel *ret, uid_t *ret_uid);
/* err: NOT_FOUND (no socket), OFFLINE (nobody listens), DENIED, IO */
MUST_CHECK enum err channel_connect(const char *path, struct channel *ret);
/* Over a connected socket; takes fd and makes it non-blocking. */
void channel_adopt(int fd, struct channel *ret);
/* Wipe buffers and close. Takes a closed channel, too. */
void channel_close(struct channel *c);
static inline bool channel_is_open(const struct channel *c)
{
    return c->fd >= 0;
}

/* Poll loop: read what has arrived. err: OFFLINE (the peer closed), RANGE (a frame too large), NOMEM, IO */
MUST_CHECK enum err channel_fill(struct channel *c);
/* The next whole message, borrowed until the next call on this channel. err: NOT_FOUND (none yet), and what
 * msg_decode() says */
MUST_CHECK enum err channel_next(struct channel *c, struct msg *ret);
/* Would channel_next() have something to say without a channel_fill()? */
bool channel_has_message(const struct channel *c);
/* Append a message to what is to be sent, and send as much as goes without waiting.
 * err: FULL (the peer does not read what it was sent), OFFLINE, RANGE, NOMEM, IO */
MUST_CHECK enum err channel_queue(struct channel *c, const struct msg *m);
/* Send more of it; call when the socket is writable. err: OFFLINE, IO */
MUST_CHECK enum err channel_flush(struct channel *c);
/* POLLIN, and POLLOUT while something waits to be sent. */
short channel_events(const struct channel *c);

/* Blocking: queue and flush. err: TIMEOUT, OFFLINE */
MUST_CHECK enum err channel_send(struct channel *c, const struct msg *m, int timeout_ms);
/* Blocking: wait for the next message; timeout_ms -1 waits for ever. err: TIMEOUT, OFFLINE */
MUST_CHECK enum err channel_recv(struct channel *c, int timeout_ms, struct msg *ret);
