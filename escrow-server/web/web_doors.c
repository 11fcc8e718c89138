/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listeners that cannot let anybody in. */
#include "escrow-server/process/slog.h"
#include "escrow-server/web/web.h"
#include <event2/listener.h>
#include <stddef.h>

static struct evconnlistener *listener(const struct web *w, enum web_door door)
{
    if (door == DOOR_TLS)
        return w->bound == NULL ? NULL : evhttp_bound_socket_get_listener(w->bound);
    return door == DOOR_METRICS ? w->metrics : NULL;
}

void web_door_rest(struct web *w, enum web_door door)
{
    static const char *const name[WEB_DOORS] = {"http", "metrics", "local"};
    struct evconnlistener *l = listener(w, door);
    w->rests[door] = true;
    if (l != NULL)
        evconnlistener_disable(l);
    else
        event_del(w->local);
    slog(SLOG_WARN, name[door], "warning=\"no more connections can be accepted for now\" connections=%u",
         w->n_conns);
}

/* Once that worker is to stop, its doors stay shut. */
void web_doors_tick(struct web *w)
{
    for (enum web_door door = 0; door < WEB_DOORS; door++) {
        struct evconnlistener *l = listener(w, door);
        bool failed = w->rests[door] && !w->stopping &&
                      (l != NULL ? evconnlistener_enable(l) : event_add(w->local, NULL)) != 0;
        w->rests[door] = failed;
    }
}
