/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/discover.h"
#include "agent/volume/sight.h"
#include "agent/volume/verify.h"

static void each(struct agent *a, struct header *h)
{
    (void)!verify_volume(a, h); /* it said so itself; the next volume counts */
}

void verify_volumes(struct agent *a)
{
    struct inventory v;
    enum err e = inventory_make(a->root, &v);
    if (e == ERR_OK) {
        e = discover_volumes_in(a, &v, each);
        sight_look(a, &v);
        inventory_free(&v);
    }
    if (e != ERR_OK)
        agent_say(a, "the volumes cannot be listed: %s", err_text(e));
}
