/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web_local.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "formats/host/json_strict.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct local *opened[LOCAL_OPEN_MAX]; /* in the order they came */
static unsigned n_open;

static const struct {
    const char *op;
    bool privileged;
    void (*run)(struct local *l);
} ops[] = {{"recover", false, local_recover}, {"boots", true, local_boots},
           {"token", true, local_token},      {"import", true, local_import},
           {"erase", true, local_erase},      {"approve", false, local_approve},
           {"wish", true, local_wish},        {"outbox", true, local_outbox},
           {"vault", true, local_vault},      {"devices", true, local_devices},
           {"device", true, local_device},    {"losses", true, local_losses},
           {"loss", false, local_loss},       {"take_back", false, local_take_back},
           {"flags", true, local_flags}};

unsigned web_local_open_count(void)
{
    return n_open;
}

static void forget(const struct local *l)
{
    unsigned i = 0;
    while (opened[i] != l)
        i++;
    n_open--;
    memmove(&opened[i], &opened[i + 1], (n_open - i) * sizeof opened[0]);
}

void local_end(struct local *l)
{
    forget(l);
    if (l->waiting != 0)
        back_forget(l->web, l->waiting);
    if (l->readable != NULL)
        event_free(l->readable);
    if (l->deadline != NULL)
        event_free(l->deadline);
    close(l->fd);
    json_object_put(l->request);
    json_object_put(l->keys);
    free(l->bytes);
    free(l->state);
    if (n_open == 0)
        back_hurry(l->web, false);
    cr_wipe(l, sizeof *l);
    free(l);
}

static void run(struct local *l)
{
    const char *op;
    if (json_get_text(l->request, "op", 16, &op) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "The request has no op.");
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(ops[i].op, op) != 0)
            continue;
        if (ops[i].privileged && !l->privileged)
            return local_fail(l, ERR_DENIED, "Only root, or the user that runs the server, may ask this.");
        return ops[i].run(l);
    }
    local_fail(l, ERR_UNSUPPORTED,
               "The running server does not know this request; it may be older than the command.");
}

/* err: BUSY (more to come), OFFLINE (it will not), and what the request is refused with */
static enum err read_more(struct local *l, int fd)
{
    size_t room;
    void *at = local_room(l, &room);
    ssize_t n = recv(fd, at, room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return ERR_BUSY;
    return n <= 0 ? ERR_OFFLINE : local_came(l, (size_t)n);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    struct local *l = ctx;
    (void)what;
    enum err e = read_more(l, fd);
    if (e == ERR_BUSY)
        return;
    if (e == ERR_OFFLINE)
        return local_end(l);
    cr_wipe(l->in, sizeof l->in);
    l->len = 0;
    event_del(l->readable); /* one request, one answer */
    l->asked = true;
    (void)event_add(l->deadline, &(struct timeval){.tv_sec = LOCAL_ANSWER_S});
    if (e == ERR_DENIED)
        return local_fail(l, e, "Only root, or the user that runs the server, may ask this.");
    if (e != ERR_OK)
        return local_fail(l, e,
                          "The request is not in the form of the local socket; a name, a reason or another "
                          "text in it may not be UTF-8.");
    run(l);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    struct local *l = ctx;
    (void)fd, (void)what;
    local_fail(l, ERR_TIMEOUT,
               l->asked ? "The server has no answer in time; its log may say why."
                        : "The request did not come in time.");
}

static bool is_privileged(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == getuid());
}

/* Nothing of it waits to be read, either. */
static bool is_silent(const struct local *l)
{
    struct pollfd p = {l->fd, POLLIN, 0};
    return !l->asked && poll(&p, 1, 0) == 0;
}

/* Whoever asks does so at once, so a silent one goes for the one that comes now: the oldest. */
static void make_room(void)
{
    for (unsigned i = 0; i < n_open; i++)
        if (is_silent(opened[i]))
            return local_fail(opened[i], ERR_BUSY, "Others wait, and no request came.");
}

/* All the others wait for their answers. */
static void turn_away(int fd)
{
    local_refuse(
        fd, ERR_BUSY,
        "The server is busy: too many wait for an answer at its local socket; try again in a moment.");
    close(fd);
    if (metrics_may_log("local", 5))
        slog(SLOG_WARN, "local", "warning=\"turned away: too many wait for an answer\" open=%u", n_open);
}

void web_local_accept(evutil_socket_t listener, short what, void *web)
{
    struct web *w = web;
    const struct timeval limit = {.tv_sec = LOCAL_REQUEST_S};
    (void)what;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) /* another worker has him */
        return;
    if (fd < 0) {
        web_door_rest(w, DOOR_LOCAL);
        return make_room();
    }
    if (n_open == LOCAL_OPEN_MAX)
        make_room();
    struct local *l = n_open < LOCAL_OPEN_MAX ? calloc(1, sizeof *l) : NULL;
    if (l == NULL)
        return turn_away(fd);
    opened[n_open++] = l;
    if (n_open == 1)
        back_hurry(w, true);
    l->web = w;
    l->fd = fd;
    l->privileged = is_privileged(fd);
    l->readable = event_new(w->base, fd, EV_READ | EV_PERSIST, on_readable, l);
    l->deadline = evtimer_new(w->base, on_deadline, l);
    if (l->readable == NULL || l->deadline == NULL || event_priority_set(l->readable, WEB_FIRST) != 0 ||
        event_add(l->readable, NULL) != 0 || event_add(l->deadline, &limit) != 0)
        local_end(l);
}
