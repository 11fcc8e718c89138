/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who speaks with whom: the supervisor makes the channels, and keeps no end of them. */
#include "escrow-server/process/slog.h"
#include "escrow-server/process/supervise_slot.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void hand(const struct slot *to, enum control_what what, int fd)
{
    if (control_send(to->control, what, fd) != ERR_OK)
        slog(SLOG_WARN, "child", "process=%s unreachable=1", slot_name(to)); /* its end will be seen */
}

static enum control_what peer_word(enum process_kind back)
{
    return back == PROCESS_WRITER   ? CONTROL_PEER_WRITER
           : back == PROCESS_READER ? CONTROL_PEER_READER
                                    : CONTROL_PEER_VAULT;
}

/* One channel between a web worker and whom it asks, or between the exporter and the vault. */
static void connect_pair(const struct slot *web, const struct slot *back)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        slog(SLOG_ERROR, "child", "failed=\"make a socketpair\" errno=%d", errno);
        return;
    }
    hand(web, peer_word(back->kind), pair[0]);
    hand(back, web->kind == PROCESS_EXPORT ? CONTROL_PEER_EXPORT : CONTROL_PEER_WEB, pair[1]);
    close(pair[0]);
    close(pair[1]);
}

/* Who asks whom. */
static bool talks_to(enum process_kind from, enum process_kind to)
{
    return from == PROCESS_WEB ? to == PROCESS_WRITER || to == PROCESS_READER || to == PROCESS_VAULT
                               : from == PROCESS_EXPORT && to == PROCESS_VAULT;
}

void slot_connect(struct supervisor *s, struct slot *slot)
{
    bool web = slot->kind == PROCESS_WEB;
    int quiet = web ? s->sockets->quiet_read : slot->kind == PROCESS_WRITER ? s->sockets->quiet : -1;
    hand(slot, CONTROL_COUNTERS, s->counters);
    if (quiet >= 0) /* before the writer meets a web worker */
        hand(slot, CONTROL_QUIET, quiet);
    if (web) {
        if (s->sockets->sessions >= 0)
            hand(slot, CONTROL_SESSIONS, s->sockets->sessions);
        hand(slot, CONTROL_LISTEN_TCP, s->sockets->tcp[slot->index % s->sockets->n_tcp]);
        hand(slot, CONTROL_LISTEN_UNIX, s->sockets->local);
        hand(slot, CONTROL_LISTEN_METRICS, s->sockets->metrics);
    }
    for (unsigned i = 0; i < s->n; i++) {
        struct slot *other = &s->slot[i];
        if (other->pid == 0)
            continue;
        if (talks_to(slot->kind, other->kind))
            connect_pair(slot, other);
        else if (talks_to(other->kind, slot->kind))
            connect_pair(other, slot);
    }
}
