/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/boot/boot_check.h"
#include "agent/boot/used_wait.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/tpm_back.h"
#include "agent/report/tpm_status.h"
#include "agent/report/volume_list.h"
#include "agent/sync/enrollment.h"
#include "agent/sync/identity.h"
#include "agent/sync/sync.h"
#include "agent/sync/sync_clock.h"
#include "agent/volume/discover.h"
#include "agent/volume/mirror.h"
#include "agent/volume/sight.h"
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

static void add_policy(struct agent *a, struct json_object *o)
{
    const struct policy *p = &a->policy;
    struct json_object *j = json_object_new_object();
    json_object_object_add(j, "version", p->version ? json_object_new_uint64(p->version) : NULL);
    add(j, "escrow", p->escrow == POLICY_RECEIPT ? "receipt" : "sealed");
    json_object_object_add(j, "key_package", json_object_new_boolean(p->key_package));
    json_object_object_add(j, "rotate_days", json_object_new_int64(p->rotate_days));
    json_object_object_add(j, "rotate_used_needs_receipt",
                           json_object_new_boolean(p->rotate_used_needs_receipt));
    json_object_object_add(j, "verify_hours", json_object_new_int64(p->verify_hours));
    json_object_object_add(o, "policy", j);
}

static void add_clock(struct agent *a, struct json_object *o)
{
    int64_t off;
    if (sync_clock_get(a, &off) == ERR_OK)
        json_object_object_add(o, "clock_off_s", json_object_new_int64(off));
}

/* How long the oldest record has been waiting. */
static void add_oldest(struct agent *a, struct json_object *o)
{
    struct cache_record *r = calloc(MSG_LIST_MAX, sizeof *r);
    uint64_t oldest = UINT64_MAX;
    unsigned n = 0;
    if (!r || cache_outbox(a->cache, a->key.id, r, MSG_LIST_MAX, &n) != ERR_OK)
        n = 0;
    for (unsigned i = 0; i < n; i++) {
        struct record rec;
        if (record_decode(r[i].bytes, r[i].len, &rec) == ERR_OK && rec.time < oldest)
            oldest = rec.time;
        free(r[i].bytes);
    }
    free(r);
    json_object_object_add(o, "queued_since",
                           n && oldest != UINT64_MAX ? json_object_new_uint64(oldest) : NULL);
}

static void add_sync(struct keeper *k, struct json_object *o)
{
    uint64_t t;
    unsigned waiting = 0;
    bool known = cache_get_u64(k->agent.cache, "last_sync", &t) == ERR_OK;
    add_clock(&k->agent, o);
    json_object_object_add(o, "last_sync", known ? json_object_new_uint64(t) : NULL);
    struct conf conf;
    struct problem why = {""};
    if (conf_load(k->agent.root, &conf, &why) == ERR_OK)
        cr_wipe(&conf, sizeof conf); /* only whether it can be read is asked */
    add(o, "last_problem", why.text[0] ? why.text : k->last_problem[0] ? k->last_problem : NULL);
    if (cache_outbox_count(k->agent.cache, k->agent.key.id, &waiting) == ERR_OK)
        json_object_object_add(o, "queued", json_object_new_int64(waiting));
    if (cache_drafts(k->agent.cache, &waiting) == ERR_OK)
        json_object_object_add(o, "unsigned", json_object_new_int64(waiting));
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

/* The devices are looked at once; what is shown is what is there now. */
static struct volume_list find_volumes(struct agent *a)
{
    struct volume_list l = {NULL, NULL};
    struct inventory v;
    agent_step(a, "looking at all devices; one that does not answer costs some seconds");
    enum err e = inventory_make(a->root, &v);
    if (e == ERR_OK) {
        e = discover_volumes_in(a, &v, look);
        sight_look(a, &v);
        if (e == ERR_OK)
            e = volume_list(a, &v, &l);
        inventory_free(&v);
    }
    if (e != ERR_OK)
        agent_say(a, "the volumes cannot be listed: %s", err_text(e));
    return l;
}

void verb_status(struct keeper *k, struct client *c, const struct msg *m)
{
    struct agent *a = &k->agent;
    char id[BASE16_LEN(CR_KEY_ID) + 1];
    (void)m;
    (void)used_wait_retry(a, true); /* somebody looks: perhaps he has made room */
    tpm_back_look(a);
    enum err e = identity_announce(a); /* a TPM that was away may be back */
    if (e != ERR_OK)
        agent_say(a, "what waits for the device key cannot be signed yet: %s", err_text(e));
    struct volume_list l = find_volumes(a); /* what is news goes into the outbox, before that is counted */
    struct json_object *o = json_object_new_object();
    base16_encode(a->key.id, sizeof a->key.id, id);
    add(o, "device_id", id);
    add(o, "computer", a->computer);
    add_org(a, o);
    json_object_object_add(o, "tpm", tpm_json(a));
    add_policy(a, o);
    add_sync(k, o);
    add_oldest(a, o);
    json_object_object_add(o, "boot", boot_check_json(a));
    json_object_object_add(o, "volumes", l.volumes ? l.volumes : json_object_new_array());
    json_object_object_add(o, "others", l.others ? l.others : json_object_new_array());
    keeper_reply(c, KH_EXIT_OK, "", o);
}
