/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper/tpm_back.h"
#include "agent/sync/identity.h"
#include "agent/tpm/tpm.h"
#include "agent/volume/verify.h"
#include <stdlib.h>

static bool any_waits(struct agent *a)
{
    struct cache_volume *v = NULL;
    struct cache_life l;
    unsigned n = 0;
    bool any = false;
    if (cache_volumes(a->cache, &v, &n) != ERR_OK)
        n = 0;
    for (unsigned i = 0; !any && i < n; i++)
        any = cache_get_life(a->cache, &v[i].uuid, &l) == ERR_OK && l.management == MANAGEMENT_AWAY;
    free(v);
    return any;
}

void tpm_back_look(struct agent *a)
{
    if (!any_waits(a) || tpm_probe(a->tpm) != ERR_OK)
        return;
    if (identity_announce(a) != ERR_OK) /* its first record comes before all others */
        return;
    verify_volumes(a);
    a->wanted = true; /* chores_run() does what was put off */
}
