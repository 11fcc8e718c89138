/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /metrics, in clear, for whoever is let to its address. Not by evhttp, which cannot be told how many
 * connections there may be, nor when one of them is over, however busy it looks. One request a connection. */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define METRICS_HEAD 8192

struct asker {
    struct bufferevent *bev;
    struct event *deadline;
    struct asker *older, *newer;
    bool answered;
};

static struct {
    struct asker *oldest, *newest;
    unsigned n;
} askers;

static void asker_free(struct asker *a)
{
    *(a->older != NULL ? &a->older->newer : &askers.oldest) = a->newer;
    *(a->newer != NULL ? &a->newer->older : &askers.newest) = a->older;
    askers.n--;
    event_free(a->deadline);
    bufferevent_free(a->bev);
    free(a);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    asker_free(ctx);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
    const struct asker *a = ctx;
    (void)bev;
    /* who has said all that he will say still gets his answer */
    if (!a->answered || (what & BEV_EVENT_ERROR) != 0)
        asker_free(ctx);
}

static void on_written(struct bufferevent *bev, void *ctx)
{
    const struct asker *a = ctx;
    (void)bev;
    if (a->answered)
        asker_free(ctx);
}

static void answer(struct asker *a, int status, const char *type, const char *text, size_t len)
{
    struct evbuffer *out = bufferevent_get_output(a->bev);
    a->answered = true;
    metrics_request(ROUTE_METRICS, status);
    evbuffer_add_printf(
        out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
        status, web_title(status), type, len, status == 405 ? "Allow: GET\r\n" : "");
    evbuffer_add(out, text, len);
}

static void answer_metrics(struct asker *a)
{
    char *text = NULL;
    size_t len = 0;
    if (metrics_text(&text, &len) != ERR_OK)
        return answer(a, 503, "text/plain", "", 0);
    answer(a, 200, "text/plain; version=0.0.4; charset=utf-8", text, len);
    free(text);
}

static void answer_line(struct asker *a, const char *line)
{
    bool get = strncmp(line, "GET ", 4) == 0;
    const char *target = line + 4;
    size_t len = get ? strcspn(target, " ?") : 0;
    if (get && len == strlen("/metrics") && memcmp(target, "/metrics", len) == 0)
        return answer_metrics(a);
    answer(a, get ? 404 : 405, "text/plain", "", 0);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
    struct asker *a = ctx;
    struct evbuffer *in = bufferevent_get_input(bev);
    char *line = NULL;
    if (a->answered) {
        evbuffer_drain(in, evbuffer_get_length(in));
        return;
    }
    if (evbuffer_search(in, "\r\n\r\n", 4, NULL).pos < 0) {
        if (evbuffer_get_length(in) > METRICS_HEAD)
            answer(a, 431, "text/plain", "", 0);
        return;
    }
    line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF_STRICT);
    evbuffer_drain(in, evbuffer_get_length(in));
    if (line == NULL)
        return answer(a, 503, "text/plain", "", 0);
    answer_line(a, line);
    free(line);
}

static struct asker *asker_new(struct web *w, evutil_socket_t fd)
{
    struct asker *a = calloc(1, sizeof *a);
    if (a == NULL)
        return NULL;
    a->deadline = evtimer_new(w->base, on_deadline, a);
    a->bev = a->deadline == NULL ? NULL : bufferevent_socket_new(w->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (a->bev != NULL)
        return a;
    if (a->deadline != NULL)
        event_free(a->deadline);
    free(a);
    return NULL;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *web)
{
    const struct timeval wait = {.tv_sec = WEB_METRICS_S};
    struct asker *a = asker_new(web, fd);
    (void)l, (void)sa, (void)len;
    if (a == NULL) {
        close(fd);
        return;
    }
    a->older = askers.newest;
    *(a->older != NULL ? &a->older->newer : &askers.oldest) = a;
    askers.newest = a;
    if (++askers.n > WEB_METRICS_CONNS)
        asker_free(askers.oldest);
    bufferevent_setcb(a->bev, on_read, on_written, on_event, a);
    bufferevent_setwatermark(a->bev, EV_READ, 0, 2 * METRICS_HEAD);
    bufferevent_enable(a->bev, EV_READ | EV_WRITE);
    event_add(a->deadline, &wait);
}

static void on_accept_error(struct evconnlistener *l, void *web)
{
    (void)l;
    web_door_rest(web, DOOR_METRICS);
    if (askers.oldest != NULL)
        asker_free(askers.oldest);
}

void web_metrics_tick(const struct web *w)
{
    metrics_set(METRIC_WAITING, w->n_waiting);
}

enum err web_metrics_open(struct web *w, int fd)
{
    w->metrics =
        evconnlistener_new(w->base, on_accept, w, LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, 0, fd);
    if (w->metrics == NULL)
        return ERR_NOMEM;
    evconnlistener_set_error_cb(w->metrics, on_accept_error);
    return ERR_OK;
}
