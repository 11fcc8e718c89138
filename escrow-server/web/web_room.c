/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many connections there may be, and who goes when there are more. */
#include "escrow-server/web/web_conn.h"
#include <event2/listener.h>
#include <sys/resource.h>

#define FILES_FIXED 64 /* descriptors that are no connections, and then some */

void web_conn_leave(struct conn *c)
{
    struct conn_list *l = c->in;
    if (l == NULL)
        return;
    *(c->older != NULL ? &c->older->newer : &l->oldest) = c->newer;
    *(c->newer != NULL ? &c->newer->older : &l->newest) = c->older;
    c->older = c->newer = NULL;
    c->in = NULL;
    l->n--;
}

void web_conn_join(struct conn *c, struct conn_list *l)
{
    web_conn_leave(c);
    c->in = l;
    c->older = l->newest;
    *(c->older != NULL ? &c->older->newer : &l->oldest) = c;
    l->newest = c;
    l->n++;
}

static void drop_oldest(struct conn_list *l)
{
    struct conn *c = l->oldest;
    if (c == NULL)
        return;
    web_conn_leave(c);
    c->handshaking = false;
    web_conn_deadline(c, 0);
}

/* The limit of open files may be the narrower one; a burst of new connections comes before the old are
 * closed.
 */
static unsigned room(const struct web *w)
{
    struct rlimit r;
    uint64_t n = w->child.conf.connections;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY) {
        uint64_t files = r.rlim_cur > 2 * FILES_FIXED ? r.rlim_cur - FILES_FIXED : FILES_FIXED;
        files -= files / 8;
        n = n < files ? n : files;
    }
    return (unsigned)n;
}

/* Whoever is quick gets through: silent connections push each other out, and not the one that comes now. A
 * device says what it wants at once and has its answer within a second or so; as many others as there may be
 * connections cannot have shaken hands in that time. */
void web_room_make(struct web *w)
{
    if (w->handshakes.n > WEB_HANDSHAKES)
        drop_oldest(&w->handshakes);
    if (w->n_conns > w->room)
        drop_oldest(w->idle.n > 0 ? &w->idle : &w->handshakes);
}

static struct web *listening; /* libevent hands evhttp's own to the callback */

static void on_accept_error(struct evconnlistener *listener, void *http)
{
    (void)listener, (void)http;
    web_door_rest(listening, DOOR_TLS);
    drop_oldest(listening->idle.n > 0 ? &listening->idle : &listening->handshakes);
}

void web_room_open(struct web *w)
{
    uint64_t each = w->child.conf.connections_each;
    w->room = room(w);
    w->room_each = each > 0 && each < w->room ? (unsigned)each : each > 0 ? w->room : (w->room + 3) / 4;
    listening = w;
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(w->bound), on_accept_error);
}
