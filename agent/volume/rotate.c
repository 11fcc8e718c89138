/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/rotate.h"
#include "agent/volume/discover.h"
#include "agent/volume/manage.h"
#include "agent/volume/mirror.h"
#include "agent/volume/package.h"
#include "agent/volume/retire.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The spent key that the new one replaces; of two, the one that a server knows. */
static void find_spent(struct agent *a, struct header *h, struct protect_order *o)
{
    struct settle_key k[LUKS2_TOKENS];
    int number[LUKS2_TOKENS];
    unsigned n = retire_list(a, h, k, number);
    for (unsigned i = 0; i < n; i++)
        if (k[i].spent && (!o->has_spent || k[i].receipted || k[i].told)) {
            o->has_spent = true;
            o->spent = k[i].id;
        }
}

static enum err note_management(struct agent *a, const struct header *h, uint8_t state)
{
    struct cache_life l = {.uuid = h->luks.uuid};
    enum err e = cache_get_life(a->cache, &h->luks.uuid, &l);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    l.management = state;
    return cache_put_life(a->cache, &l);
}

/* Nothing that people open the volume with depends on it, so a failure is said, and that is all. */
static void keep_way_in(struct agent *a, struct header *h, const struct secret *volume_key)
{
    struct problem said = *h->why;
    uint8_t state = MANAGEMENT_NONE;
    agent_step(a, "volume %s: the keyslot for replacing its password without anybody there", h->device);
    if (manage_ensure(a, h, volume_key) != ERR_OK)
        agent_say(a, "%s; the recovery password can be replaced only when something else opens the volume",
                  h->why->text);
    if (manage_check(a, h, &state) != ERR_OK || note_management(a, h, state) != ERR_OK)
        agent_say(a, "volume %s: its management keyslot is looked at again later", h->device);
    *h->why = said;
}

/* The recovery key counts: a package that could not be made is made at the next rotation. */
static void keep_package(struct agent *a, struct header *h, const struct secret *volume_key)
{
    struct problem said = *h->why;
    if (package_make(a, h, volume_key) != ERR_OK)
        agent_say(a, "%s", h->why->text);
    *h->why = said;
}

enum err rotate_volume(struct agent *a, struct header *h, const struct unlock *unlock, uint8_t cause,
                       struct protect_result *ret)
{
    SECRET(volume_key);
    struct protect_order order = {.unlock = unlock, .cause = cause};
    struct protect_result r;
    unsigned waiting = 0;
    bool alone = unlock->kind == UNLOCK_MANAGEMENT;
    find_spent(a, h, &order);
    TRY(protect_volume(a, h, &order, &volume_key, &r));
    enum err retired = retire_settled(a, h, !alone);
    struct problem left = *h->why;
    if (!alone)
        keep_way_in(a, h, &volume_key);
    keep_package(a, h, &volume_key);
    enum err e = mirror_volume(a, h); /* queues "rotated", and the rotation is no longer wanted */
    r.queued = e == ERR_OK && cache_drafts(a->cache, &waiting) == ERR_OK && waiting == 0;
    TRY(still_there(h, &r.key_id));
    if (retired != ERR_OK)
        return problem_set(h->why, retired,
                           "a new recovery key is in use, but an old one could not be removed: %.400s",
                           left.text);
    *ret = r;
    return ERR_OK;
}

static bool opens_alone(struct agent *a, const struct guid *volume)
{
    struct cache_life l;
    return cache_get_life(a->cache, volume, &l) == ERR_OK &&
           (l.management == MANAGEMENT_FILE || l.management == MANAGEMENT_TPM);
}

static enum err put_note(struct agent *a, const struct guid *volume, uint8_t cause, const char *reason)
{
    struct cache_volume v;
    TRY(cache_get_volume(a->cache, volume, &v));
    v.rotate = cause;
    if (v.state == VOLUME_DESTROYED) /* it says so until it has a header again */
        return cache_put_volume(a->cache, &v);
    if (v.state != VOLUME_PENDING && v.state != VOLUME_WAITS_RECEIPT)
        v.state = opens_alone(a, volume) ? VOLUME_PROTECTED : VOLUME_NEEDS_SECRET;
    (void)snprintf(v.note, sizeof v.note, "%.*s", CACHE_NOTE - 1, reason);
    return cache_put_volume(a->cache, &v);
}

enum err rotate_want(struct agent *a, const struct guid *volume, uint8_t cause, const char *reason)
{
    struct cache_volume v;
    TRY(cache_get_volume(a->cache, volume, &v));
    if (cause == KH_CAUSE_SCHEDULE && v.rotate)
        return ERR_OK;
    TRY(put_note(a, volume, cause, reason));
    a->wanted = true;
    return ERR_OK;
}

static enum err has_successor(struct agent *a, const struct cache_key *k, bool *ret)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    unsigned n = 0;
    enum err e = keys ? cache_keys(a->cache, &k->volume, keys, &n) : ERR_NOMEM;
    *ret = false;
    for (unsigned i = 0; e == ERR_OK && i < n; i++)
        *ret = *ret || (keys[i].state == KEY_LIVE && keys[i].made > k->made);
    free(keys);
    return e;
}

enum err rotate_spend(struct agent *a, const struct guid *key_id, uint8_t cause, const char *reason)
{
    struct cache_key k;
    bool later = false;
    TRY(cache_get_key(a->cache, key_id, &k));
    k.spent = cause;
    TRY(cache_put_key(a->cache, &k));
    TRY(has_successor(a, &k, &later));
    if (!later)
        return rotate_want(a, &k.volume, cause, reason);
    a->wanted = true;
    return ERR_OK;
}

/* The note keeps the rotation wanted; what went wrong may pass. */
static enum err rotate_alone(struct agent *a, const struct cache_volume *v, struct protect_result *ret)
{
    const struct unlock alone = {.kind = UNLOCK_MANAGEMENT};
    struct problem why = {"its device is not there"};
    struct header *h = NULL;
    enum err e = header_open(v->device, &why, &h);
    if (e == ERR_OK && !guid_equal(&h->luks.uuid, &v->uuid))
        e = problem_set(&why, ERR_NOT_FOUND, "volume %s: another volume is there now", v->device);
    if (e == ERR_OK)
        e = rotate_volume(a, h, &alone, v->rotate, ret);
    header_close(h);
    if (e != ERR_OK) {
        agent_say(a, "%s", why.text);
        /* once the new key is made, what is left is a removal, which the next look tries again */
        struct cache_volume now;
        bool made = cache_get_volume(a->cache, &v->uuid, &now) == ERR_OK && now.rotate == 0;
        if (!made && put_note(a, &v->uuid, v->rotate, why.text) != ERR_OK)
            agent_say(a, "nor can that be kept in the cache");
    }
    return e;
}

void rotate_pending(struct agent *a, void (*each)(struct agent *a, const struct protect_result *r))
{
    struct cache_volume *v = NULL;
    struct protect_result r;
    unsigned n = 0;
    if (cache_volumes(a->cache, &v, &n) != ERR_OK)
        n = 0;
    for (unsigned i = 0; i < n; i++)
        if (v[i].rotate && v[i].state != VOLUME_DESTROYED && opens_alone(a, &v[i].uuid) &&
            rotate_alone(a, &v[i], &r) == ERR_OK && each)
            each(a, &r);
    free(v);
}
