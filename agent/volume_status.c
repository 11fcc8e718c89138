/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume_status.h"
#include "agent/startup.h"
#include <stdlib.h>

static void add(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text ? json_object_new_string(text) : NULL);
}

static const char *state_text(uint8_t state)
{
    switch (state) {
    case VOLUME_PROTECTED:
        return "protected";
    case VOLUME_NEEDS_SECRET:
        return "needs-unlock-secret";
    default:
        return "pending";
    }
}

/* The key that people would be told: the newest that is proved, else the newest that is there. */
static const struct cache_key *current(const struct cache_key *keys, unsigned n)
{
    static const uint8_t state[] = {KEY_LIVE, KEY_UNVERIFIED};
    for (unsigned s = 0; s < 2; s++)
        for (unsigned i = 0; i < n; i++)
            if (keys[i].state == state[s])
                return &keys[i];
    return NULL;
}

struct json_object *volume_status(struct agent *a, const struct cache_volume *v)
{
    struct json_object *o = json_object_new_object();
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    char uuid[GUID_TEXT], id[GUID_TEXT] = "", brief[9] = "";
    unsigned n = 0;
    const struct cache_key *k =
        keys && cache_keys(a->cache, &v->uuid, keys, &n) == ERR_OK ? current(keys, n) : NULL;
    guid_encode_lower(&v->uuid, uuid);
    if (k) {
        guid_encode(&k->key_id, id);
        guid_short(&k->key_id, brief);
    }
    add(o, "device", v->device);
    add(o, "uuid", uuid);
    const char *waits = startup_waits(&v->uuid); /* the cache may have no room for it */
    add(o, "state", state_text(waits ? VOLUME_NEEDS_SECRET : v->state));
    add(o, "note", waits ? waits : v->note);
    add(o, "key_id", k ? id : NULL);
    add(o, "key_id_short", k ? brief : NULL);
    json_object_object_add(o, "slot", k ? json_object_new_int(k->slot) : NULL);
    json_object_object_add(o, "verified", json_object_new_boolean(k && k->state == KEY_LIVE));
    add(o, "escrow", !k ? NULL : k->receipted ? "receipted" : "queued");
    free(keys);
    return o;
}
