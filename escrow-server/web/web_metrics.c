/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include "escrow-server/web/web.h"
#include <event2/buffer.h>
#include <stdlib.h>

#define METRICS_WAIT_S 10

static void on_metrics(struct evhttp_request *req, void *ctx)
{
    char *text = NULL;
    size_t len = 0;
    (void)ctx;
    metrics_request(ROUTE_METRICS, HTTP_OK);
    if (metrics_text(&text, &len) != ERR_OK) {
        evhttp_send_error(req, HTTP_SERVUNAVAIL, NULL);
        return;
    }
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
                      "text/plain; version=0.0.4; charset=utf-8");
    evbuffer_add(evhttp_request_get_output_buffer(req), text, len);
    free(text);
    evhttp_send_reply(req, HTTP_OK, "OK", NULL);
}

void web_metrics_tick(const struct web *w)
{
    metrics_set(METRIC_WAITING, w->n_waiting);
}

enum err web_metrics_open(struct web *w)
{
    w->metrics = evhttp_new(w->base);
    if (w->metrics == NULL || evhttp_set_cb(w->metrics, "/metrics", on_metrics, w) != 0)
        return ERR_NOMEM;
    evhttp_set_allowed_methods(w->metrics, EVHTTP_REQ_GET);
    evhttp_set_max_headers_size(w->metrics, 8192);
    evhttp_set_max_body_size(w->metrics, 0);
    evhttp_set_timeout(w->metrics, METRICS_WAIT_S);
    return ERR_OK;
}
