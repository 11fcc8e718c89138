/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/discover.h"
#include "agent/enrollment.h"
#include "agent/identity.h"
#include "agent/keeper.h"
#include "agent/mirror.h"
#include "agent/startup.h"
#include "agent/sync.h"
#include "agent/tpm_status.h"
#include "crypto/host/file.h"
#include "formats/base.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Other devices with the volume's UUID. */
static struct json_object *copies_json(const struct cache_volume *v, const struct found *f, unsigned n)
{
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; i < n; i++)
        if (guid_equal(&f[i].uuid, &v->uuid) && f[i].rank != FOUND_PART &&
            strcmp(f[i].device, v->device) != 0)
            json_object_array_add(list, json_object_new_string(f[i].device));
    return list;
}

static struct json_object *volume_json(struct agent *a, const struct cache_volume *v, struct cache_key *keys)
{
    struct json_object *o = json_object_new_object();
    char uuid[GUID_TEXT], id[GUID_TEXT] = "", brief[9] = "";
    unsigned n = 0;
    const struct cache_key *k = cache_keys(a->cache, &v->uuid, keys, &n) == ERR_OK ? current(keys, n) : NULL;
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
    return o;
}

static struct json_object *volumes_json(struct agent *a)
{
    struct json_object *list = json_object_new_array();
    struct cache_volume *v = calloc(CACHE_VOLUMES, sizeof *v);
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    struct found *found = calloc(DISCOVER_MAX, sizeof *found);
    unsigned n = 0, n_found = 0;
    if (found && discover_devices(a, found, &n_found) != ERR_OK)
        n_found = 0;
    if (v && keys && found && cache_volumes(a->cache, v, &n) == ERR_OK)
        for (unsigned i = 0; i < n; i++) {
            struct json_object *o = volume_json(a, &v[i], keys);
            json_object_object_add(o, "copies", copies_json(&v[i], found, n_found));
            json_object_array_add(list, o);
        }
    free(found);
    free(v);
    free(keys);
    return list;
}

static void add_org(struct agent *a, struct json_object *o)
{
    uint8_t pin[32];
    char hex[BASE16_LEN(32) + 1];
    add(o, "organisation", a->org ? a->org->name : NULL);
    if (a->org)
        json_object_object_add(o, "org_version", json_object_new_uint64(a->org->version));
    if (a->org && org_store_pin(a->root, pin) == ERR_OK) {
        base16_encode(pin, sizeof pin, hex);
        add(o, "root_sha256", hex);
    }
    bool is_done = enrollment_done(a), waits = enrollment_waits(a);
    const char *trouble = waits ? NULL : identity_trouble(a);
    add(o, "enrolment", is_done ? "done" : waits ? "queued" : trouble ? "again" : "none");
    add(o, "identity", trouble);
}

static void add_sync(struct keeper *k, struct json_object *o)
{
    uint64_t t;
    unsigned waiting = 0;
    bool known = cache_get_u64(k->agent.cache, "last_sync", &t) == ERR_OK;
    json_object_object_add(o, "last_sync", known ? json_object_new_uint64(t) : NULL);
    add(o, "last_problem", k->last_problem[0] ? k->last_problem : NULL);
    if (cache_outbox_count(k->agent.cache, k->agent.key.id, &waiting) == ERR_OK)
        json_object_object_add(o, "queued", json_object_new_int64(waiting));
    if (cache_outbox_others(k->agent.cache, k->agent.key.id, &waiting) == ERR_OK)
        json_object_object_add(o, "queued_former", json_object_new_int64(waiting));
    add(o, "courier", channel_is_open(&k->courier) ? "connected" : "not running");
}

static void look(struct agent *a, struct header *h)
{
    enum err e = mirror_volume(a, h);
    if (e != ERR_OK)
        agent_say(a, "volume %s: the cache cannot be brought in line: %s", h->device, err_text(e));
}

void verb_status(struct keeper *k, struct client *c, const struct msg *m)
{
    struct agent *a = &k->agent;
    char id[BASE16_LEN(CR_KEY_ID) + 1];
    (void)m;
    (void)startup_retry(a, true);           /* somebody looks: perhaps he has made room */
    enum err e = discover_volumes(a, look); /* what is shown is what is there now */
    if (e != ERR_OK)
        agent_say(a, "the volumes cannot be looked at: %s", err_text(e));
    e = identity_announce(a); /* a TPM that was away may be back */
    if (e != ERR_OK)
        agent_say(a, "the new identity cannot be announced yet: %s", err_text(e));
    struct json_object *o = json_object_new_object();
    base16_encode(a->key.id, sizeof a->key.id, id);
    add(o, "device_id", id);
    add(o, "computer", a->computer);
    add_org(a, o);
    json_object_object_add(o, "tpm", tpm_json(a));
    add_sync(k, o);
    json_object_object_add(o, "volumes", volumes_json(a));
    keeper_reply(c, KH_EXIT_OK, "", o);
}
