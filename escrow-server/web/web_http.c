/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web_call.h"
#include "formats/base.h"
#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The HTTP interface: this table is all of it. */
static const struct route {
    enum evhttp_cmd_type method;
    const char *path, *name;
    enum metrics_route counts;
    bool needs_courier; /* a client certificate of the organisation's CA */
    void (*run)(struct call *c);
} routes[] = {
    {EVHTTP_REQ_POST, "/v1/enroll", "enroll", ROUTE_ENROLL, false, web_enroll},
    {EVHTTP_REQ_POST, "/v1/sync", "sync", ROUTE_SYNC, true, web_sync},
    {EVHTTP_REQ_GET, "/healthz", "health", ROUTE_HEALTH, false, web_health},
    {EVHTTP_REQ_GET, "/readyz", "ready", ROUTE_READY, false, web_ready},
};
#define N_ROUTES (sizeof routes / sizeof routes[0])

/* Bytes: no shorter body is tried, and what the header costs. */
#define GZIP_FROM   200
#define GZIP_HEADER (sizeof "Content-Encoding: gzip\r\n" - 1)

static const struct {
    int status;
    const char *title;
} titles[] = {{400, "Bad Request"},
              {401, "Unauthorized"},
              {403, "Forbidden"},
              {404, "Not Found"},
              {405, "Method Not Allowed"},
              {409, "Conflict"},
              {411, "Length Required"},
              {413, "Content Too Large"},
              {414, "URI Too Long"},
              {415, "Unsupported Media Type"},
              {417, "Expectation Failed"},
              {422, "Unprocessable Content"},
              {429, "Too Many Requests"},
              {431, "Request Header Fields Too Large"},
              {500, "Internal Server Error"},
              {503, "Service Unavailable"}};

const char *web_title(int status)
{
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "OK";
}

/* Ending. */

static void call_free(struct call *c)
{
    if (c->waiting != 0)
        back_forget(c->web, c->waiting);
    if (c->free_state != NULL)
        c->free_state(c->state);
    c->web->n_calls--;
    free(c->body);
    free(c);
}

static void on_client_gone(struct evhttp_connection *evcon, void *ctx)
{
    struct call *c = ctx;
    (void)evcon;
    c->req = NULL;
    call_free(c);
}

/* A device's POST does not say that it is JSON, so its answer need not either: a heartbeat is small. */
static bool is_device(struct evhttp_request *req)
{
    return evhttp_request_get_command(req) == EVHTTP_REQ_POST &&
           evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Type") == NULL;
}

/* Does nothing follow it on its connection? Nothing of a device does, which says neither. */
static bool is_only(struct evhttp_request *req)
{
    const char *value = evhttp_find_header(evhttp_request_get_input_headers(req), "Connection");
    return value == NULL ? is_device(req) : evutil_ascii_strcasecmp(value, "close") == 0;
}

/* What was sent cannot be changed any more, but evhttp reads there whether the connection ends: no device has
 * to be told so, and a heartbeat is small. */
static void on_complete(struct evhttp_request *req, void *ctx)
{
    (void)ctx;
    struct evhttp_connection *evcon = evhttp_request_get_connection(req);
    if (is_only(req))
        evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
    if (evcon != NULL)
        web_conn_answered(evcon);
}

static void add_header(struct call *c, const char *name, const char *value)
{
    evhttp_add_header(evhttp_request_get_output_headers(c->req), name, value);
}

/* Compressed where the client takes it and it is worth it. */
static void send_body(struct call *c, int status, const char *text)
{
    uint8_t *packed = NULL;
    size_t len = strlen(text), packed_len;
    struct evbuffer *out = evhttp_request_get_output_buffer(c->req);
    bool packs = c->gzip && len > GZIP_FROM && web_deflate(text, len, &packed, &packed_len) == ERR_OK;
    if (packs && packed_len + GZIP_HEADER < len) {
        add_header(c, "Content-Encoding", "gzip");
        evbuffer_add(out, packed, packed_len);
    } else {
        evbuffer_add(out, text, len);
    }
    free(packed);
    /* nobody keeps the answer to a POST unless it is told to (RFC 9111 section 3); a heartbeat is small */
    if (evhttp_request_get_command(c->req) != EVHTTP_REQ_POST)
        add_header(c, "Cache-Control", "no-store");
    struct evhttp_connection *evcon = evhttp_request_get_connection(c->req);
    metrics_request(c->counts, status);
    bool told = evcon == NULL || web_conn_is_last(evcon);
    if (told)
        add_header(c, "Connection", "close");
    if (evcon != NULL)
        evhttp_connection_set_closecb(evcon, NULL, NULL);
    if (evcon != NULL && (told || is_only(c->req)))
        web_conn_ends(evcon);
    evhttp_request_set_on_complete_cb(c->req, on_complete, NULL);
    evhttp_send_reply(c->req, status, web_title(status), NULL);
    if (evcon != NULL)
        web_conn_push(evcon);
}

void call_text(struct call *c, const char *json)
{
    if (json == NULL)
        return call_problem(c, 503, 10, "The server has no memory to answer now.");
    if (!is_device(c->req))
        add_header(c, "Content-Type", "application/json");
    send_body(c, HTTP_OK, json);
    call_free(c);
}

void call_json(struct call *c, struct json_object *answer)
{
    call_text(c, answer == NULL ? NULL : json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN));
    json_object_put(answer);
}

static void log_problem(const struct call *c, int status, const char *detail)
{
    char device[BASE16_LEN(32) + 1] = "-", *peer = NULL;
    uint16_t port = 0;
    struct evhttp_connection *evcon = evhttp_request_get_connection(c->req);
    if (evcon != NULL)
        evhttp_connection_get_peer(evcon, &peer, &port);
    if (c->courier)
        base16_encode(c->device, sizeof c->device, device);
    const char *who = c->courier || peer == NULL ? device : peer;
    if (metrics_may_log(who, strlen(who)))
        slog(SLOG_WARN, c->name, "status=%d device=%s peer=%s detail=\"%s\"", status, device,
             peer == NULL ? "-" : peer, detail);
}

void call_problem(struct call *c, int status, unsigned retry_after_s, const char *detail)
{
    char seconds[16];
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string("about:blank"));
    json_object_object_add(o, "title", json_object_new_string(web_title(status)));
    json_object_object_add(o, "status", json_object_new_int(status));
    json_object_object_add(o, "detail", json_object_new_string(detail));
    const char *text =
        json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    add_header(c, "Content-Type", "application/problem+json");
    if (retry_after_s > 0) {
        snprintf(seconds, sizeof seconds, "%u", retry_after_s);
        add_header(c, "Retry-After", seconds);
    }
    log_problem(c, status, detail);
    send_body(c, status, text == NULL ? "{}" : text);
    json_object_put(o);
    call_free(c);
}

void call_failed(struct call *c, enum err e, const struct msg_frame *m)
{
    struct msg_failed failed = {0};
    if (m != NULL && m->type == MSG_FAILED && msg_get_failed(m->body, m->len, &failed) != ERR_OK)
        failed.detail[0] = '\0';
    const char *detail =
        failed.detail[0] != '\0' ? failed.detail : "The server cannot do this now; come back later.";
    switch (e) {
    case ERR_AUTH:
    case ERR_DENIED:
    case ERR_NOT_FOUND:
        return call_problem(c, 403, 0, detail);
    case ERR_FORMAT:
    case ERR_RANGE:
    case ERR_TRUNCATED:
    case ERR_UNSUPPORTED:
        return call_problem(c, 422, 0, detail);
    case ERR_OFFLINE:
    case ERR_TIMEOUT:
        return call_problem(c, 503, 10, detail);
    default:
        return call_problem(c, 503, 60, detail);
    }
}

/* Beginning. */

static bool takes_gzip(struct evhttp_request *req)
{
    struct evkeyvalq *in = evhttp_request_get_input_headers(req);
    const char *accept = evhttp_find_header(in, "Accept-Encoding");
    if (accept != NULL)
        return strstr(accept, "gzip") != NULL;
    const char *coding = evhttp_find_header(in, "Content-Encoding");
    return coding != NULL && strcasecmp(coding, "gzip") == 0;
}

/* NULL: none; ret_allow: the path exists, for another method */
static const struct route *find_route(struct evhttp_request *req, const char **ret_allow)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *path = uri == NULL ? NULL : evhttp_uri_get_path(uri);
    for (size_t i = 0; path != NULL && i < N_ROUTES; i++) {
        if (strcmp(routes[i].path, path) != 0)
            continue;
        if (routes[i].method == evhttp_request_get_command(req))
            return &routes[i];
        *ret_allow = routes[i].method == EVHTTP_REQ_POST ? "POST" : "GET";
    }
    return NULL;
}

static void run_route(struct call *c, const struct route *route)
{
    struct evhttp_connection *evcon = evhttp_request_get_connection(c->req);
    enum err e = web_conn_courier(evcon, c->device, c->courier_key);
    c->courier = e == ERR_OK;
    c->renew = c->courier && web_conn_courier_due(evcon, c->courier_spki);
    c->name = route->name;
    c->counts = route->counts;
    if (route->needs_courier && !c->courier)
        return call_problem(c, 401, 0, "A client certificate of this organisation is needed; enrol first.");
    if (web_body_take(c))
        route->run(c);
}

static void on_request(struct evhttp_request *req, void *ctx)
{
    struct web *w = ctx;
    const char *allow = NULL;
    struct call *c = calloc(1, sizeof *c);
    if (c == NULL) {
        evhttp_send_error(req, 503, NULL);
        return;
    }
    *c = (struct call){.web = w, .req = req, .name = "http", .counts = ROUTE_OTHER, .gzip = takes_gzip(req)};
    w->n_calls++;
    web_conn_begins(evhttp_request_get_connection(req));
    evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_client_gone, c);
    const struct route *route = find_route(req, &allow);
    if (route != NULL)
        return run_route(c, route);
    if (allow != NULL) {
        add_header(c, "Allow", allow);
        return call_problem(c, 405, 0, "This address takes another method.");
    }
    call_problem(c, 404, 0, "There is nothing at this address.");
}

enum err web_http_open(struct web *w)
{
    w->http = evhttp_new(w->base);
    if (w->http == NULL)
        return ERR_NOMEM;
    evhttp_set_bevcb(w->http, web_conn_new, w);
    evhttp_set_gencb(w->http, on_request, w);
    evhttp_set_default_content_type(w->http, NULL);
    evhttp_set_max_body_size(w->http, WEB_BODY_MAX);
    evhttp_set_max_headers_size(w->http, WEB_HEADERS_MAX + 1);
    evhttp_set_timeout(w->http, WEB_REQUEST_S);
    evhttp_set_allowed_methods(w->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                            EVHTTP_REQ_DELETE);
    return ERR_OK;
}
