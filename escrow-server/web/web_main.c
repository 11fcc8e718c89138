/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/process/control.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/quiet.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/web/tls_provider.h"
#include "escrow-server/web/web.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Whoever has shaken hands, or is about to, gets his one answer; a connection that idles gets none. */
void web_drained(struct web *w)
{
    if (w->stopping && w->n_calls == 0 && w->n_owed == 0 && web_local_open_count() == 0)
        event_base_loopexit(w->base, NULL); /* what is ready now is still done */
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct web *w = ctx;
    (void)fd, (void)what;
    back_tick(w);
    web_metrics_tick(w); /* before what this turn asks itself */
    web_losses_tick(w);
    if (w->replay.again && back_is_up(w, BACK_WRITER) && back_is_up(w, BACK_VAULT))
        replay_start(w, 0);
    w->n_asked = 0;
    web_seen_send(w);
    web_org_tick(w);
    web_doors_tick(w);
    web_drained(w);
    slog_flush(); /* where turns have no end, for there is always more */
}

static void add_listener(struct web *w, enum control_what what, int fd)
{
    if (what == CONTROL_LISTEN_TCP) {
        w->bound = evhttp_accept_socket_with_handle(w->http, fd);
        w->have_tcp = w->bound != NULL;
        if (w->have_tcp)
            web_room_open(w);
        return;
    }
    if (what == CONTROL_LISTEN_METRICS) {
        w->have_metrics = web_metrics_open(w, fd) == ERR_OK;
        return;
    }
    w->local = event_new(w->base, fd, EV_READ | EV_PERSIST, web_local_accept, w);
    w->have_local =
        w->local != NULL && event_priority_set(w->local, WEB_FIRST) == 0 && event_add(w->local, NULL) == 0;
}

/* The first time that both are there, the vault's log is compared with the store. */
static void add_peer(struct web *w, enum back_kind kind, int fd)
{
    back_take(w, kind, fd);
    w->replay.again = true;
}

static void take_control(void *ctx, enum control_what what, int fd)
{
    struct web *w = ctx;
    switch (what) {
    case CONTROL_SESSIONS:
        if (web_tls_resume(w, fd) != ERR_OK)
            slog(SLOG_WARN, "start", "warning=\"no TLS session can be resumed\"");
        return;
    case CONTROL_LISTEN_TCP:
    case CONTROL_LISTEN_UNIX:
    case CONTROL_LISTEN_METRICS:
        return add_listener(w, what, fd);
    case CONTROL_PEER_WRITER:
        return add_peer(w, BACK_WRITER, fd);
    case CONTROL_PEER_READER:
        return back_take(w, BACK_READER, fd);
    case CONTROL_PEER_VAULT:
        return add_peer(w, BACK_VAULT, fd);
    case CONTROL_QUIET:
        if (quiet_open(fd, false) != ERR_OK)
            slog(SLOG_WARN, "start", "warning=\"every heartbeat is a question to the store\"");
        return;
    case CONTROL_COUNTERS:
        return;
    case CONTROL_PEER_WEB:
    case CONTROL_PEER_EXPORT:
    case CONTROL_READY:
    case CONTROL_WORKING:
        break;
    }
    close(fd);
}

static void on_control(evutil_socket_t socket, short events, void *ctx)
{
    struct web *w = ctx;
    (void)socket, (void)events;
    bool was = w->have_tcp && w->have_local && w->have_metrics;
    if (child_listen(take_control, w) != ERR_OK)
        exit(1); /* no supervisor, no work */
    if (!was && w->have_tcp && w->have_local && w->have_metrics)
        child_ready();
}

/* Finish what has begun; take nothing new. */
static void on_term(evutil_socket_t sig, short what, void *ctx)
{
    struct web *w = ctx;
    const struct timeval limit = {.tv_sec = WEB_DRAIN_S};
    (void)sig, (void)what;
    if (w->stopping)
        return;
    w->stopping = true;
    if (w->bound != NULL)
        evhttp_del_accept_socket(w->http, w->bound);
    if (w->local != NULL)
        event_del(w->local);
    w->bound = NULL;
    event_base_loopexit(w->base, &limit);
    web_drained(w);
}

/* In a storm dozens of handshakes wait for their turn, at a third of a millisecond each; after so many events
 * a look is taken at what goes first. A connection's are four or five, most of them short; a turn that ends
 * before an answer is written asks the kernel when it can be. By time it cannot be: libevent's clock has
 * ticks of 4 ms. */
#define WEB_TURN 12

/* Changes of what epoll watches are told to the kernel once in a turn, not each: ten for a connection. */
static struct event_base *open_base(void)
{
    struct event_config *c = event_config_new();
    struct event_base *base = NULL;
    if (c != NULL && event_config_set_flag(c, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0 &&
        event_config_set_max_dispatch_interval(c, NULL, WEB_TURN, WEB_SECOND) == 0)
        base = event_base_new_with_config(c);
    if (c != NULL)
        event_config_free(c);
    if (base == NULL ||
        event_base_priority_init(base, WEB_PRIORITIES) == 0) /* the second is what an event has at first */
        return base;
    event_base_free(base);
    return NULL;
}

/* OpenSSL says little of a file that is not there. */
static enum err find_files(const char **ret_what)
{
    static const struct {
        const char *name, *what;
    } files[] = {{NAME_TLS_KEY, "read web/" NAME_TLS_KEY}, {NAME_TLS_CERT, "read web/" NAME_TLS_CERT}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (access(files[i].name, R_OK) != 0) {
            *ret_what = files[i].what;
            return err_from_errno(errno);
        }
    return ERR_OK;
}

/* ret_what: what failed, where there is more to say than that all of it did */
static enum err prepare(struct web *w, const char **ret_what)
{
    const struct timeval second = {.tv_sec = 1};
    for (unsigned i = 0; i < BACK_KINDS; i++)
        w->back[i].chan.fd = -1;
    w->base = open_base();
    if (w->base == NULL)
        return ERR_NOMEM;
    TRY(web_revoked_load(w));
    web_org_tick(w);
    TRY(find_files(ret_what));
    TRY(web_tls_open(w));
    TRY(web_http_open(w));
    w->control = event_new(w->base, CONTROL_FD, EV_READ | EV_PERSIST, on_control, w);
    w->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
    w->term = evsignal_new(w->base, SIGTERM, on_term, w);
    if (w->control == NULL || w->tick == NULL || w->term == NULL || event_add(w->control, NULL) != 0 ||
        event_add(w->tick, &second) != 0 || event_add(w->term, NULL) != 0)
        return ERR_NOMEM;
    return ERR_OK;
}

/* As event_base_dispatch(), with what is told written once in a turn. */
static void loop(struct web *w)
{
    slog_hold();
    do {
        if (event_base_loop(w->base, EVLOOP_ONCE) != 0)
            break;
        slog_flush();
    } while (!event_base_got_exit(w->base));
}

int main(int argc, char **argv)
{
    static struct web *w; /* held for life */
    w = calloc(1, sizeof *w);
    if (w == NULL || tls_provider_begin() != ERR_OK)
        return 1;
    child_start(argc, argv, PROCESS_WEB, &w->child);
    const char *what = "prepare TLS and HTTP";
    enum err e = prepare(w, &what);
    if (e != ERR_OK) {
        slog(SLOG_ERROR, "start", "failed=\"%s\" reason=\"%s\"", what, err_text(e));
        return 1;
    }
    loop(w);
    web_seen_send(w);
    if (chan_is_open(&w->back[BACK_WRITER].chan) && chan_flush(&w->back[BACK_WRITER].chan) != ERR_OK)
        slog(SLOG_WARN, "stop", "warning=\"the writer is gone\"");
    slog(SLOG_INFO, "stop", "unfinished=%u", w->n_calls);
    slog_flush();
    return 0;
}
