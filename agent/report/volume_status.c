/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/report/volume_status.h"
#include "agent/boot/used_wait.h"
#include "agent/volume/settle.h"
#include "formats/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DAY UINT64_C(86400)

static void add(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, text ? json_object_new_string(text) : NULL);
}

static void add_time(struct json_object *o, const char *name, uint64_t t)
{
    json_object_object_add(o, name, t ? json_object_new_uint64(t) : NULL);
}

static const char *state_text(uint8_t state)
{
    switch (state) {
    case VOLUME_PROTECTED:
        return "protected";
    case VOLUME_NEEDS_SECRET:
        return "needs-unlock-secret";
    case VOLUME_WAITS_RECEIPT:
        return "waits-for-receipt";
    case VOLUME_DESTROYED:
        return "header-destroyed";
    default:
        return "pending";
    }
}

static const char *management_text(uint8_t m)
{
    static const char *const text[] = {"none", "no-place", "file", "tpm", "lost", "away"};
    return text[m <= MANAGEMENT_AWAY ? m : 0];
}

static const char *cause_text(uint8_t cause)
{
    static const char *const text[] = {NULL, "protect", "used", "disclosed", "command", "schedule", "drift"};
    return cause <= KH_CAUSE_DRIFT ? text[cause] : NULL;
}

static const char *escrow_text(const struct cache_key *k)
{
    return k->packed ? "packed" : k->receipted ? "receipted" : "queued";
}

/* The key that people would be told: the newest that is proved, else the newest that is there. */
static const struct cache_key *current(const struct cache_key *keys, unsigned n)
{
    static const uint8_t state[] = {KEY_LIVE, KEY_UNVERIFIED, KEY_RETURNED};
    for (unsigned s = 0; s < 3; s++)
        for (unsigned i = 0; i < n; i++)
            if (keys[i].state == state[s])
                return &keys[i];
    return NULL;
}

static struct json_object *key_json(const struct cache_key *k)
{
    struct json_object *o = json_object_new_object();
    char id[GUID_TEXT];
    guid_encode(&k->key_id, id);
    add(o, "key_id", id);
    json_object_object_add(o, "slot", json_object_new_int(k->slot));
    add_time(o, "made", k->made);
    add(o, "cause", cause_text(k->cause));
    json_object_object_add(o, "verified", json_object_new_boolean(k->state == KEY_LIVE));
    add(o, "escrow", escrow_text(k));
    add(o, "spent", cause_text(k->spent));
    return o;
}

static struct json_object *keys_json(const struct cache_key *keys, unsigned n)
{
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; i < n; i++)
        if (keys[i].state >= KEY_LIVE && keys[i].state != KEY_RETIRED)
            json_object_array_add(list, key_json(&keys[i]));
    return list;
}

static void add_current(struct json_object *o, const struct cache_volume *v, const struct cache_key *k)
{
    char id[GUID_TEXT] = "", brief[9] = "";
    if (k) {
        guid_encode(&k->key_id, id);
        guid_short(&k->key_id, brief);
    }
    add(o, "key_id", k ? id : NULL);
    add(o, "key_id_short", k ? brief : NULL);
    json_object_object_add(o, "slot", k ? json_object_new_int(k->slot) : NULL);
    json_object_object_add(
        o, "verified", json_object_new_boolean(k && k->state == KEY_LIVE && v->state != VOLUME_DESTROYED));
    add(o, "escrow", !k ? NULL : k->receipted ? "receipted" : "queued");
}

static void add_life(struct agent *a, struct json_object *o, const struct cache_volume *v,
                     const struct cache_key *k)
{
    struct cache_life l = {.management = MANAGEMENT_NONE};
    (void)!cache_get_life(a->cache, &v->uuid, &l);
    add(o, "management", management_text(l.management));
    add_time(o, "checked", l.checked);
    add(o, "rotate", cause_text(v->rotate));
    add_time(o, "rotate_due",
             k && a->policy.rotate_days
                 ? settle_since(k->made, k->verified, (uint64_t)time(NULL)) + a->policy.rotate_days * DAY
                 : 0);
    add(o, "re_encryption", l.is_exposed ? "recommended" : NULL);
}

/* Behind whatever else there is to say. */
static void add_note(struct agent *a, struct json_object *o, const struct cache_volume *v, const char *said)
{
    static const char away[] =
        "the TPM that holds its management key cannot be asked now; nothing is lost: when "
        "it is back, passwords are replaced again";
    char both[CACHE_NOTE + PROBLEM_MAX + sizeof away];
    struct cache_life l = {.management = MANAGEMENT_NONE};
    (void)!cache_get_life(a->cache, &v->uuid, &l);
    (void)snprintf(both, sizeof both, "%s%s%s", said, said[0] ? "; " : "", away);
    add(o, "note", l.management == MANAGEMENT_AWAY ? both : said);
}

struct json_object *volume_status(struct agent *a, const struct cache_volume *v)
{
    struct json_object *o = json_object_new_object();
    struct cache_key *keys = calloc(CACHE_KEYS, sizeof *keys);
    char uuid[GUID_TEXT];
    unsigned n = 0;
    if (!keys || cache_keys(a->cache, &v->uuid, keys, &n) != ERR_OK)
        n = 0;
    const struct cache_key *k = current(keys, n);
    guid_encode_lower(&v->uuid, uuid);
    add(o, "device", v->device);
    add(o, "uuid", uuid);
    const char *waits =
        v->state == VOLUME_DESTROYED ? NULL : used_wait_why(&v->uuid); /* the cache may have no room */
    add(o, "state", state_text(waits ? VOLUME_NEEDS_SECRET : v->state));
    add_note(a, o, v, waits ? waits : v->note);
    add_current(o, v, k);
    json_object_object_add(o, "keys", keys_json(keys, n));
    add_life(a, o, v, k);
    free(keys);
    return o;
}
