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
} ops[] = {
    {"recover", false, local_recover},     {"boots", true, local_boots},   {"token", true, local_token},
    {"import", true, local_import},        {"erase", true, local_erase},   {"approve", false, local_approve},
    {"outbox", true, local_outbox},        {"vault", true, local_vault},   {"devices", true, local_devices},
    {"device", true, local_device},        {"losses", true, local_losses}, {"loss", false, local_loss},
    {"take_back", false, local_take_back}, {"flags", true, local_flags}};

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

/* Line two, when line one says that there is a secret. err: BUSY (more to come) */
static enum err take_secret(struct local *l, const char *line)
{
    size_t left = l->len - (size_t)(line - l->in);
    const char *last = memchr(line, '\n', left);
    if (last == NULL)
        return l->len < sizeof l->in ? ERR_BUSY : ERR_RANGE;
    if ((size_t)(last - line) > SECRET_MAX)
        return ERR_RANGE;
    l->secret.len = (size_t)(last - line);
    memcpy(l->secret.bytes, line, l->secret.len);
    return ERR_OK;
}

/* What of the bytes came along with line one; the rest is read to its place. err: BUSY (more to come) */
static enum err begin_bytes(struct local *l, const char *from)
{
    uint64_t want = 0;
    enum err e = json_get_u64(l->request, "bytes", &want);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    TRY(e);
    size_t have = l->len - (size_t)(from - l->in);
    if (!l->privileged)
        return ERR_DENIED;
    if (want > LOCAL_BYTES_MAX || have > want)
        return ERR_RANGE;
    l->bytes = malloc(want + 1);
    if (l->bytes == NULL)
        return ERR_NOMEM;
    memcpy(l->bytes, from, have);
    l->n_bytes = have;
    l->want_bytes = want;
    return have < want ? ERR_BUSY : ERR_OK;
}

/* The whole request? Line one is JSON. err: BUSY (more to come) */
static enum err take_request(struct local *l)
{
    char *end = memchr(l->in, '\n', l->len);
    if (end == NULL)
        return l->len < sizeof l->in ? ERR_BUSY : ERR_RANGE;
    if (l->request == NULL)
        TRY(json_strict_parse(l->in, (size_t)(end - l->in), &l->request));
    struct json_object *has;
    if (json_object_object_get_ex(l->request, "secret", &has) && json_object_get_boolean(has))
        return take_secret(l, end + 1);
    return begin_bytes(l, end + 1);
}

/* err: BUSY (more to come), OFFLINE (it will not), and what the request is refused with */
static enum err read_more(struct local *l, int fd)
{
    bool into_bytes = l->bytes != NULL;
    ssize_t n = into_bytes ? recv(fd, l->bytes + l->n_bytes, l->want_bytes - l->n_bytes, 0)
                           : recv(fd, l->in + l->len, sizeof l->in - l->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return ERR_BUSY;
    if (n <= 0)
        return ERR_OFFLINE;
    if (into_bytes) {
        l->n_bytes += (size_t)n;
        return l->n_bytes < l->want_bytes ? ERR_BUSY : ERR_OK;
    }
    l->len += (size_t)n;
    return take_request(l);
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
        return local_fail(l, e, "The request is not in the form of the local socket.");
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
