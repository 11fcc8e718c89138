/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/webs.h"
#include "escrow-server/process/child.h"
#include "escrow-server/process/msg.h"
#include "escrow-server/process/slog.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

void webs_init(struct webs *w)
{
    w->take_quiet = NULL;
    for (unsigned i = 0; i < WEBS; i++)
        w->chan[i] = (struct chan){.fd = -1};
}

void webs_close(struct webs *w)
{
    for (unsigned i = 0; i < WEBS; i++)
        chan_close(&w->chan[i]);
}

static void add(struct webs *w, int fd)
{
    for (unsigned i = 0; i < WEBS; i++) {
        if (chan_is_open(&w->chan[i]))
            continue;
        if (chan_open(&w->chan[i], fd, MSG_STORE_MAX) != ERR_OK)
            chan_close(&w->chan[i]);
        return;
    }
    close(fd);
}

static void take_control(void *ctx, enum control_what what, int fd)
{
    const struct webs *w = ctx;
    if (what == CONTROL_PEER_WEB)
        add(ctx, fd);
    else if (what == CONTROL_QUIET && w->take_quiet != NULL)
        w->take_quiet(fd);
    else if (fd >= 0)
        close(fd);
}

enum err webs_wait(struct webs *w, int wait_ms, bool ret_ready[static WEBS])
{
    const struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000l};
    struct pollfd fds[WEBS + 1];
    sigset_t none;
    sigemptyset(&none);
    for (unsigned i = 0; i < WEBS; i++)
        fds[i] = chan_poll(&w->chan[i]);
    fds[WEBS] = (struct pollfd){CONTROL_FD, POLLIN, 0};
    if (ppoll(fds, WEBS + 1, wait_ms < 0 ? NULL : &wait, &none) < 0) {
        if (errno != EINTR)
            return ERR_IO;
        for (unsigned i = 0; i < WEBS + 1; i++)
            fds[i].revents = 0; /* they mean nothing */
    }
    if (fds[WEBS].revents != 0)
        TRY(child_listen(take_control, w));
    for (unsigned i = 0; i < WEBS; i++)
        ret_ready[i] = chan_polled(&w->chan[i], fds[i].revents);
    return ERR_OK;
}

void webs_end(struct chan *c)
{
    if (chan_put(c) != ERR_OK)
        chan_close(c);
}

void webs_send(struct chan *c)
{
    if (chan_flush(c) != ERR_OK)
        chan_close(c);
}

void webs_fail(struct chan *c, uint64_t id, enum err e, const char *detail)
{
    struct writer *w = chan_begin(c, MSG_FAILED, id);
    if (w == NULL)
        return chan_close(c);
    msg_put_failed(w, e, detail);
    webs_end(c);
}

void webs_nonsense(struct chan *c, uint8_t type)
{
    slog(SLOG_ERROR, "channel", "closed=\"a web worker sent what is no message\" type=%u", type);
    chan_close(c);
}
