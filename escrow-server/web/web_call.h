#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One HTTP request while it is being answered, and the ways to answer it. */

#include "escrow-server/process/metrics.h"
#include "escrow-server/web/web.h"
#include <json-c/json.h>

struct call {
    struct web *web;
    struct evhttp_request *req; /* NULL: the client has gone */
    const char *name;           /* of the route, for the log */
    enum metrics_route counts;
    uint8_t *body; /* inflated, zero-terminated */
    size_t body_len;
    bool gzip;    /* the client takes it */
    bool courier; /* it showed a certificate: */
    uint8_t device[32], courier_key[32];
    bool renew; /* its certificate is due: */
    uint8_t courier_spki[91];
    uint64_t waiting; /* question under way, 0 if none */
    bool unread;      /* of /readyz: the recovery store cannot be read */
    void *state;      /* the handler's, freed with free_state */
    void (*free_state)(void *state);
};

/* Each answers and ends the call: it must not be touched afterwards. */
void call_json(struct call *c, struct json_object *answer); /* takes the object; NULL: no memory */
void call_text(struct call *c, const char *json);           /* the same, as text that is borrowed */
void call_problem(struct call *c, int status, unsigned retry_after_s, const char *detail);
/* A failed question as a problem: 4xx for what the client can change, 503 for what time can. */
void call_failed(struct call *c, enum err e, const struct msg_frame *m);

/* web_body.c: the body, inflated, if its sender may send so much. False: it may not, or there is no room;
 * that was answered. */
bool web_body_take(struct call *c);

/* The handlers, each for one route. */
void web_enroll(struct call *c);
void web_sync(struct call *c);
void web_health(struct call *c);
void web_ready(struct call *c);

/* web_gzip.c: one whole buffer. ret: malloc'ed, with a zero byte behind it.
 * err: FORMAT, RANGE (more than max), NOMEM */
MUST_CHECK enum err web_inflate(const uint8_t *p, size_t len, size_t max, uint8_t **ret, size_t *ret_len);
MUST_CHECK enum err web_deflate(const void *p, size_t len, uint8_t **ret, size_t *ret_len);
