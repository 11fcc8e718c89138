/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many connections one address may have: nobody takes all the room. As everywhere, whoever comes gets in,
 * and whoever has been there for longest without a request under way goes. */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/web/peer_key.h"
#include "escrow-server/web/web_conn.h"
#include <stdlib.h>
#include <string.h>

#define SHELVES 4096 /* of the table of addresses */

struct peer {
    uint64_t key;
    unsigned n;
    struct conn *oldest, *newest; /* its connections, by when they came */
    struct peer *next;            /* on the same shelf */
};

static struct peer *shelf[SHELVES]; /* of this process */

static struct peer **shelf_of(uint64_t key)
{
    static uint64_t seed; /* so that nobody fills one shelf on purpose */
    while (seed == 0)
        arc4random_buf(&seed, sizeof seed);
    unsigned __int128 h = (unsigned __int128)(key ^ seed) * (seed | 1);
    return &shelf[((uint64_t)(h >> 64) ^ (uint64_t)h) % SHELVES];
}

static struct peer *peer_get(uint64_t key)
{
    struct peer **at = shelf_of(key), *p = *at;
    while (p != NULL && p->key != key)
        p = p->next;
    if (p != NULL || (p = calloc(1, sizeof *p)) == NULL)
        return p;
    p->key = key;
    p->next = *at;
    *at = p;
    return p;
}

static void peer_free(struct peer *p)
{
    struct peer **at = shelf_of(p->key);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    free(p);
}

void web_peer_leave(struct conn *c)
{
    struct peer *p = c->peer;
    if (p == NULL)
        return;
    *(c->before != NULL ? &c->before->behind : &p->oldest) = c->behind;
    *(c->behind != NULL ? &c->behind->before : &p->newest) = c->before;
    c->peer = NULL;
    c->before = c->behind = NULL;
    if (--p->n == 0)
        peer_free(p);
}

static void join(struct peer *p, struct conn *c)
{
    c->peer = p;
    c->before = p->newest;
    *(c->before != NULL ? &c->before->behind : &p->oldest) = c;
    p->newest = c;
    p->n++;
}

static void log_crowd(const struct web *w, const struct sockaddr_storage *a)
{
    char name[WEB_PEER_TEXT];
    web_peer_name(a, name);
    if (metrics_may_log(name, strlen(name)))
        slog(SLOG_WARN, "http",
             "peer=%s warning=\"it has as many connections as one address may have\" most=%u", name,
             w->room_each);
}

/* An address of whom none can go has as many requests under way. */
static void drop_one(const struct peer *p)
{
    struct conn *c = p->oldest;
    while (c != NULL &&
           (c->calls > 0 || c->held > 0)) /* held: a large request is coming, of a known device */
        c = c->behind;
    if (c == NULL)
        return;
    web_peer_leave(c);
    web_conn_deadline(c, 0);
}

void web_peer_enter(struct conn *c)
{
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof a;
    evutil_socket_t fd = bufferevent_getfd(c->bev);
    if (fd < 0 || getpeername(fd, (struct sockaddr *)&a, &len) != 0)
        return; /* it is gone already */
    uint64_t key = peer_key(&a);
    struct peer *p = key == 0 ? NULL : peer_get(key);
    if (p == NULL)
        return;
    join(p, c);
    if (p->n <= c->web->room_each)
        return;
    log_crowd(c->web, &a);
    drop_one(p);
}
