/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/sight.h"
#include "agent/volume/header.h"
#include "agent/volume/mirror.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SIZE_NAME (sizeof "size_" + GUID_TEXT)

static void size_name(const struct guid *uuid, char ret[static SIZE_NAME])
{
    char text[GUID_TEXT];
    guid_encode_lower(uuid, text);
    (void)snprintf(ret, SIZE_NAME, "size_%s", text);
}

/* A BitLocker volume has keys without keyslots, and no header of LUKS2 that could be missed. */
static bool is_luks2(struct agent *a, const struct guid *uuid)
{
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    unsigned n = 0;
    bool yes = keys && cache_keys(a->cache, uuid, keys, &n) == ERR_OK && n > 0 && keys[0].slot >= 0;
    free(keys);
    return yes;
}

/* No header is found, or none that is well-formed; a device that fails may answer again. */
static bool is_no_header(enum err e)
{
    return e == ERR_NOT_FOUND || e == ERR_FORMAT || e == ERR_VERSION || e == ERR_TRUNCATED;
}

/* By the bytes. */
static uint8_t by_header(struct agent *a, const struct cache_volume *k)
{
    struct header *h = NULL;
    enum err e = header_peek(k->device, &h);
    bool same = e == ERR_OK && guid_equal(&h->luks.uuid, &k->uuid);
    header_close(h);
    if (e == ERR_OK)
        return same ? SIGHT_READ : SIGHT_ABSENT;
    if (!is_luks2(a, &k->uuid))
        return SIGHT_UNREAD;
    return is_no_header(e) ? SIGHT_DESTROYED : SIGHT_UNREAD;
}

/* Names of devices are given anew: a stick of another size, or one with something else on it, is another one.
 */
static bool is_another(struct agent *a, const struct inventory *v, unsigned i, const struct cache_volume *k)
{
    char name[SIZE_NAME];
    uint64_t size = 0;
    const struct probed *p = &v->probed[i];
    size_name(&k->uuid, name);
    bool known = cache_get_u64(a->cache, name, &size) == ERR_OK;
    if (known && v->tree.device[i].size != size)
        return true;
    return v->tree.device[i].removable && (!known || (p->type[0] && v->seen[i].class != SEEN_LUKS2));
}

static uint8_t by_device(struct agent *a, const struct inventory *v, unsigned i, const struct cache_volume *k)
{
    const struct probed *p = &v->probed[i];
    if (v->seen[i].no_answer || p->err != ERR_OK)
        return SIGHT_UNREAD;
    if (p->has_volume_id || v->tree.device[i].size == 0 || is_another(a, v, i, k))
        return SIGHT_ABSENT;
    return is_luks2(a, &k->uuid) ? by_header(a, k) : SIGHT_ABSENT;
}

uint8_t sight_of(struct agent *a, const struct inventory *v, const struct found *found, unsigned n,
                 const struct cache_volume *k)
{
    struct stat st;
    for (unsigned i = 0; i < n; i++)
        if (guid_equal(&found[i].uuid, &k->uuid))
            return SIGHT_READ;
    int i = inventory_find(v, a->root, k->device);
    if (i >= 0)
        return by_device(a, v, (unsigned)i, k);
    if (stat(k->device, &st) < 0)
        return SIGHT_ABSENT;
    return S_ISREG(st.st_mode) ? by_header(a, k) : SIGHT_UNREAD;
}

/* Written only when it is another one than before. */
static void keep_size(struct agent *a, const struct inventory *v, const struct cache_volume *k)
{
    char name[SIZE_NAME];
    uint64_t size = 0;
    int i = inventory_find(v, a->root, k->device);
    if (i < 0 || !v->probed[i].has_volume_id || !guid_equal(&v->probed[i].volume_id, &k->uuid))
        return;
    size_name(&k->uuid, name);
    if (cache_get_u64(a->cache, name, &size) == ERR_OK && size == v->tree.device[i].size)
        return;
    if (cache_set_u64(a->cache, name, v->tree.device[i].size) != ERR_OK)
        agent_say(a, "volume %s: its size cannot be kept in the cache", k->device);
}

static void look_at(struct agent *a, const struct inventory *v, const struct found *f, unsigned n,
                    const struct cache_volume *k)
{
    uint8_t sight = sight_of(a, v, f, n, k);
    if (sight == SIGHT_READ)
        keep_size(a, v, k);
    if (sight == SIGHT_DESTROYED && mirror_destroyed(a, &k->uuid) != ERR_OK)
        agent_say(a, "volume %s: that its header is destroyed cannot be recorded now", k->device);
}

void sight_look(struct agent *a, const struct inventory *v)
{
    struct found *f = NULL;
    struct cache_volume *k = NULL;
    unsigned n = 0, n_known = 0;
    enum err e = discover_in(a, v, &f, &n);
    if (e == ERR_OK)
        e = cache_volumes(a->cache, &k, &n_known);
    for (unsigned i = 0; e == ERR_OK && i < n_known; i++)
        look_at(a, v, f, n, &k[i]);
    if (e != ERR_OK)
        agent_say(a, "the remembered volumes cannot be looked for: %s", err_text(e));
    free(f);
    free(k);
}
