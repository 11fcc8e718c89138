/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/rotate.h"
#include "agent/mirror.h"
#include "agent/recover.h"
#include <stdio.h>
#include <string.h>

static enum err put_volume(struct agent *a, const struct guid *volume, bool rotate, uint8_t state,
                           const char *note)
{
    struct cache_volume v;
    TRY(cache_get_volume(a->cache, volume, &v));
    v.rotate = rotate;
    v.state = state;
    (void)snprintf(v.note, sizeof v.note, "%.*s", CACHE_NOTE - 1, note);
    return cache_put_volume(a->cache, &v);
}

enum err rotate_want(struct agent *a, const struct guid *volume, bool needs_secret, const char *reason)
{
    return put_volume(a, volume, true, needs_secret ? VOLUME_NEEDS_SECRET : VOLUME_PROTECTED, reason);
}

/* Another program may have removed the new key while the old ones went: "replaced" would be untrue. */
static enum err still_there(struct header *h, const struct guid *key_id)
{
    TRY(header_reload(h));
    int n = header_find_token(h, key_id);
    if (n >= 0 && header_is_proved(h, &h->luks.token[n]))
        return ERR_OK;
    return problem_set(
        h->why, ERR_CONFLICT,
        "volume %s: another program changed the new recovery key meanwhile; protect the volume "
        "again: keyholt-agent protect %s",
        h->device, h->device);
}

enum err rotate_volume(struct agent *a, struct header *h, const struct secret *unlock, struct problem *why,
                       struct protect_result *ret)
{
    struct protect_result r;
    TRY(protect_volume(a, h, unlock, why, &r));
    enum err retired = recover_retire_others(a, h, &r.key_id);
    struct problem left = *why;
    enum err e = mirror_volume(a, h); /* queues "rotated", and the rotation is no longer wanted */
    if (e != ERR_OK)
        return problem_set(
            why, e,
            "volume %s was rotated, but the cache cannot be written: %s; it is brought in line "
            "at the keeper's next start",
            h->device, err_text(e));
    TRY(still_there(h, &r.key_id));
    if (retired != ERR_OK)
        return problem_set(why, retired,
                           "a new recovery key is in use, but an old one could not be removed: %.400s",
                           left.text);
    *ret = r;
    return ERR_OK;
}
