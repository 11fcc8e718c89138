#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One connection of keyholt-load: connect, shake hands, send, take the answer; never waits. */

#include "tools/load.h"

enum load_failure {
    LOAD_OK = 0,
    LOAD_CONNECT,
    LOAD_TLS,
    LOAD_CLOSED,
    LOAD_STATUS,
    LOAD_RECEIPT,
    LOAD_LATE,
    LOAD_FAILURES
};

struct load_conn {
    int fd; /* -1: free */
    SSL *ssl;
    struct load_device *device;
    struct load_request own; /* a heartbeat, made for this exchange */
    const struct load_request *request;
    size_t sent, got;
    char *in; /* LOAD_ANSWER_MAX + 1 bytes */
    double since;
    bool shaken, resumed;
    bool kept;      /* other requests follow, and it says so */
    uint32_t waits; /* for epoll: EPOLLIN or EPOLLOUT */
};

/* Begin; the session of the device is offered when resume. err: IO, NOMEM */
MUST_CHECK enum err load_conn_open(struct load_conn *c, const struct load_plan *p);
/* Go on until it would wait. request NULL: only the handshake.
 * ret_failure: of this exchange. err: BUSY (it waits for c->waits), OK (ended, well or not) */
MUST_CHECK enum err load_conn_step(struct load_conn *c, enum load_failure *ret_failure);
void load_conn_close(struct load_conn *c);
double load_now(void); /* seconds */
