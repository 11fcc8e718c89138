#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One TLS connection of a device. For web_conn.c and web_refuse.c. */

#include "escrow-server/web/http_guard.h"
#include "escrow-server/web/web.h"
#include <event2/bufferevent.h>
#include <sys/socket.h>

/* evhttp's timers are for inactivity: a header dripped byte by byte lives for ever. So each connection has
 * one absolute deadline of ours; when it passes, the socket is shut down and evhttp cleans up. */
struct conn {
    struct web *web;
    struct event *deadline, *ahead;
    struct bufferevent *bev; /* borrowed; outlives the TLS session that owns us */
    bool handshaking;
    bool going; /* at once: nothing that is under way gives it more time */
    bool owed;  /* an answer: the server does not end before it was given, or the time for that has passed */
    unsigned calls;               /* of ours that are being answered: 0 or 1 */
    struct conn_list *in;         /* NULL: none */
    struct conn *older, *newer;   /* there */
    struct peer *peer;            /* of web_peers.c; NULL: not counted */
    struct conn *before, *behind; /* of the same address */
    bool met;                     /* its address was looked at */
    size_t held;                  /* of web->n_held, by */
    size_t may_come;              /* bytes of the large request that was let in; else 0 */
    int64_t moved_ms;             /* to when what came of it has carried it */
    uint8_t device[32];
    struct http_guard guard;
    const struct http_refusal *refused;
    bool answering, over;
    struct {
        bufferevent_data_cb read, write;
        bufferevent_event_cb event;
        void *ctx;
    } evhttp; /* what we took the place of */
};

#define WEB_PEER_TEXT 64

struct conn *web_conn_of(struct bufferevent *bev);
void web_conn_deadline(struct conn *c, long seconds);
/* Something was read, or can be again: go on with what lies in the TLS session, or refuse what came. Later in
 * this turn of the event loop. */
void web_conn_read_ahead(struct conn *c);
/* More has come than one request can be: read no more until evhttp begins the next one. Returns true then. */
bool web_conn_surplus(struct conn *c);
/* Numeric address without the port: a machine has as many of those as it likes. */
void web_peer_name(const struct sockaddr_storage *peer, char ret[static WEB_PEER_TEXT]);
/* web_room.c: from the list that it was in to the end of another. */
void web_conn_join(struct conn *c, struct conn_list *l);
void web_conn_leave(struct conn *c);
/* One more has come. */
void web_room_make(struct web *w);
/* web_peers.c: it has a socket now; if its address has too many, one of them goes. */
void web_peer_enter(struct conn *c);
void web_peer_leave(struct conn *c);
/* web_body.c: the head of a request was read, or more of its body. NULL: the rest may come */
const struct http_refusal *web_body_admit(struct conn *c);
/* It was answered, or will not be. */
void web_body_release(struct conn *c);
/* web_refuse.c: look at everything that comes. false: no memory */
bool web_refuse_watch(struct conn *c);
/* What came is no HTTP, and nothing is being answered any more. */
void web_refuse(struct conn *c);
/* A request that still comes ends now, and what it holds is free in this turn of the event loop; the answer
 * is given if the socket takes it. */
void web_refuse_now(struct conn *c, const struct http_refusal *why);
