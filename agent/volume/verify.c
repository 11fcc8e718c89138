/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/verify.h"
#include "agent/volume/manage.h"
#include "agent/volume/mirror.h"
#include "agent/volume/recover.h"
#include "agent/volume/rotate.h"
#include "agent/volume/settle.h"
#include <stdlib.h>
#include <time.h>

#define DAY UINT64_C(86400)

static enum err note_look(struct agent *a, const struct header *h, uint8_t management)
{
    struct cache_life l = {.uuid = h->luks.uuid};
    enum err e = cache_get_life(a->cache, &h->luks.uuid, &l);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (e == ERR_OK && l.management == management)
        return ERR_OK;
    l.management = management;
    return cache_put_life(a->cache, &l);
}

/* A volume that only carries tokens of ours, and that the cache does not know, gets its row by
 * mirror_volume(). */
static enum err look_at_way_in(struct agent *a, struct header *h)
{
    uint8_t state = MANAGEMENT_NONE;
    enum err e = manage_check(a, h, &state);
    enum err noted = note_look(a, h, state);
    return e == ERR_OK ? noted : e;
}

static enum err newest_made(struct agent *a, const struct guid *volume, uint64_t *ret)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    unsigned n = 0;
    enum err e = keys ? cache_keys(a->cache, volume, keys, &n) : ERR_NOMEM;
    uint64_t made = 0;
    for (unsigned i = n; e == ERR_OK && i-- > 0;) /* newest first */
        if (keys[i].state == KEY_LIVE)
            made = settle_since(keys[i].made, keys[i].verified, (uint64_t)time(NULL));
    free(keys);
    if (e == ERR_OK)
        *ret = made;
    return e;
}

enum err verify_schedule(struct agent *a, const struct guid *volume)
{
    uint64_t made = 0, now = (uint64_t)time(NULL);
    TRY(newest_made(a, volume, &made));
    if (made == 0 || a->policy.rotate_days == 0 || now < made || now - made < a->policy.rotate_days * DAY)
        return ERR_OK;
    return rotate_want(a, volume, KH_CAUSE_SCHEDULE, "its recovery password is old enough to be replaced");
}

enum err verify_volume(struct agent *a, struct header *h)
{
    h->why->text[0] = 0;
    agent_step(a, "volume %s: looking at its keyslots", h->device);
    enum err e = recover_volume(a, h);
    if (e != ERR_OK)
        agent_say(a, "volume %s cannot be brought in order: %s (%s)", h->device,
                  h->why->text[0] ? h->why->text : err_text(e), err_name(e));
    e = look_at_way_in(a, h);
    if (e != ERR_OK)
        agent_say(a, "volume %s: its management keyslot cannot be brought in order: %s", h->device,
                  err_text(e));
    e = mirror_volume(a, h);
    if (e == ERR_OK)
        e = verify_schedule(a, &h->luks.uuid);
    if (e != ERR_OK)
        agent_say(a, "what volume %s says cannot be kept in the cache: %s", h->device, err_text(e));
    return e;
}
