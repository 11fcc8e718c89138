/* SPDX-License-Identifier: GPL-3.0-or-later */
/* protect and rotate, asked for by a person. */
#include "agent/boot/esp.h"
#include "agent/boot/used_wait.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/receipt_wait.h"
#include "agent/volume/bitlocker_escrow.h"
#include "agent/volume/discover.h"
#include "agent/volume/mirror.h"
#include "agent/volume/recover.h"
#include "agent/volume/rotate.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct order {
    struct keeper *k;
    struct client *c;
    struct problem why;
    char device[PATH_MAX];
    struct unlock unlock;
    bool leave_esp;
    bool needs_secret; /* a person could do it at once, with a passphrase */
};

static void wipe_order(struct order *o)
{
    unlock_wipe(&o->unlock);
}

/* No secret: what the keeper has. */
static enum err take_unlock(struct msg_span s, uint32_t flags, struct unlock *ret)
{
    if (s.len > sizeof ret->secret.bytes)
        return ERR_RANGE;
    if (s.len)
        memcpy(ret->secret.bytes, s.p, s.len);
    ret->secret.len = s.len;
    ret->kind = s.len == 0                       ? UNLOCK_MANAGEMENT
                : flags & MSG_PROTECT_VOLUME_KEY ? UNLOCK_VOLUME_KEY
                                                 : UNLOCK_PASSPHRASE;
    return ERR_OK;
}

/* ret_warning: what could not be done on the ESP; empty when all is well */
static void publish(struct order *o, const struct guid *volume, const struct guid *key_id,
                    struct problem *ret_warning)
{
    ret_warning->text[0] = 0;
    if (!o->leave_esp && esp_publish(&o->k->agent, volume, key_id, ret_warning) != ERR_OK)
        agent_say(&o->k->agent, "warning: %s", ret_warning->text);
}

static struct json_object *result_json(const struct header *h, const struct protect_result *r,
                                       const struct problem *warning)
{
    struct json_object *o = json_object_new_object();
    char uuid[GUID_TEXT], id[GUID_TEXT], brief[9];
    guid_encode_lower(&r->volume, uuid);
    guid_encode(&r->key_id, id);
    guid_short(&r->key_id, brief);
    json_object_object_add(o, "device", json_object_new_string(h->device));
    json_object_object_add(o, "uuid", json_object_new_string(uuid));
    json_object_object_add(o, "key_id", json_object_new_string(id));
    json_object_object_add(o, "key_id_short", json_object_new_string(brief));
    json_object_object_add(o, "slot", json_object_new_int(r->slot));
    json_object_object_add(o, "state", json_object_new_string("protected"));
    json_object_object_add(o, "recorded", json_object_new_boolean(r->queued));
    if (warning->text[0])
        json_object_object_add(o, "warning", json_object_new_string(warning->text));
    return o;
}

/* is_protect: the policy may have the last word before a volume counts as protected; never for a rotation */
static void reply_done(struct order *o, struct header *h, const struct protect_result *r, bool is_protect,
                       const char *how)
{
    struct problem warning;
    char text[PATH_MAX + 200], id[9];
    publish(o, &r->volume, &r->key_id, &warning);
    if (is_protect && receipt_wait_needed(&o->k->agent, &r->volume)) {
        receipt_wait(o->k, o->c, r, result_json(h, r, &warning));
        return;
    }
    guid_short(&r->key_id, id);
    (void)snprintf(text, sizeof text, "volume %s: %s; key ID %s, keyslot %d%s", h->device, how, id, r->slot,
                   r->queued ? "" : "; the servers hear of it later, because it cannot be recorded now");
    keeper_reply(o->c, KH_EXIT_OK, text, result_json(h, r, &warning));
    (void)keeper_wake_courier(o->k); /* at once after a new escrow */
}

/* A live key whose keyslot is what was proved to open, and whose password nobody used: nothing to do. */
static bool protected_already(struct agent *a, struct header *h, struct protect_result *ret)
{
    struct cache_key k;
    if (used_wait_why(&h->luks.uuid))
        return false;
    for (int i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &h->luks.token[i];
        if (t->used && header_is_proved(h, t) && cache_get_key(a->cache, &t->key_id, &k) == ERR_OK &&
            k.state == KEY_LIVE && guid_equal(&k.volume, &h->luks.uuid)) {
            *ret = (struct protect_result){h->luks.uuid, k.key_id, k.slot, true};
            return true;
        }
    }
    return false;
}

/* A key that goes from a copy would be told to the servers as gone, while the disk of this computer still has
 * it. */
static enum err refuse_copy(struct agent *a, const struct header *h, struct problem *why)
{
    char volume[PATH_MAX];
    enum err e = discover_original(a, h, volume);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    if (e != ERR_OK)
        return problem_set(why, e, "the volumes cannot be looked at: %s; nothing was changed", err_text(e));
    return problem_set(
        why, ERR_CONFLICT,
        "%.200s is a copy of volume %.200s, with the same UUID; nothing was changed; give it one of its "
        "own (cryptsetup luksUUID --uuid $(uuidgen) DEVICE), or take the other away",
        h->device, volume);
}

/* What an earlier run left is put in order before anything new. */
static enum err open_in_order(struct order *o, struct header **ret)
{
    struct header *h;
    struct agent *a = &o->k->agent;
    TRY(header_open(o->device, &o->why, &h));
    enum err e = refuse_copy(a, h, &o->why);
    if (e != ERR_OK) {
        header_close(h);
        return e;
    }
    e = recover_volume(a, h);
    if (e != ERR_OK) /* what cannot be tidied up must not keep a volume from a new key */
        agent_say(a, "%s", o->why.text);
    /* A device key that cannot sign now must not keep a used password in use. A cache that takes nothing will
     * not take the new key either, and that is found out before anything is changed. */
    e = header_count_live(h) ? mirror_volume(a, h) : ERR_OK;
    if (e != ERR_OK)
        agent_say(a, "what volume %s says cannot be recorded now: %s", h->device, err_text(e));
    *ret = h;
    return ERR_OK;
}

static void reply_escrowed(struct order *o, const struct protect_result *r)
{
    struct json_object *json = json_object_new_object();
    char uuid[GUID_TEXT], id[GUID_TEXT], brief[9], text[PATH_MAX + 200];
    guid_encode_lower(&r->volume, uuid);
    guid_encode(&r->key_id, id);
    guid_short(&r->key_id, brief);
    json_object_object_add(json, "device", json_object_new_string(o->device));
    json_object_object_add(json, "uuid", json_object_new_string(uuid));
    json_object_object_add(json, "key_id", json_object_new_string(id));
    json_object_object_add(json, "key_id_short", json_object_new_string(brief));
    json_object_object_add(json, "state", json_object_new_string("escrowed"));
    (void)snprintf(text, sizeof text, "volume %s: its recovery password opens it and %s; key ID %s",
                   o->device, r->queued ? "is escrowed" : "was escrowed before", brief);
    keeper_reply(o->c, KH_EXIT_OK, text, json);
    (void)keeper_wake_courier(o->k);
}

/* A volume of BitLocker keeps its own recovery password; what is asked for is to escrow it. */
static enum err protect_bitlocker(struct order *o, uint32_t flags)
{
    struct protect_result r;
    if (!(flags & MSG_PROTECT_BITLOCKER))
        return problem_set(
            &o->why, ERR_UNSUPPORTED,
            "volume %s is a BitLocker volume; nothing was changed; to escrow its recovery password: "
            "keyholt-agent protect %s --recovery-password-file FILE",
            o->device, o->device);
    TRY(bitlocker_escrow(&o->k->agent, o->device, &o->unlock.secret, &o->why, &r));
    reply_escrowed(o, &r);
    return ERR_OK;
}

/* A used password that waits for its replacement has it then. */
static enum err rotate_now(struct order *o, struct header *h, enum kh_cause cause, struct protect_result *ret)
{
    TRY(rotate_volume(&o->k->agent, h, &o->unlock, cause, ret));
    used_wait_forget(&ret->volume);
    return ERR_OK;
}

static enum err protect_luks(struct order *o, uint32_t flags)
{
    struct protect_result r;
    struct header *h = NULL;
    if (flags & MSG_PROTECT_BITLOCKER)
        return problem_set(
            &o->why, ERR_UNSUPPORTED,
            "volume %s is no BitLocker volume, and only those bring a recovery password of their own; "
            "nothing was changed",
            o->device);
    TRY(open_in_order(o, &h));
    enum err e = ERR_OK;
    if (protected_already(&o->k->agent, h, &r)) {
        reply_done(o, h, &r, true, "protected already (\"rotate\" replaces its recovery password)");
    } else {
        e = rotate_now(o, h, used_wait_why(&h->luks.uuid) ? KH_CAUSE_USED : KH_CAUSE_PROTECT, &r);
        if (e == ERR_OK)
            reply_done(o, h, &r, true, "protected");
    }
    header_close(h);
    return e;
}

void verb_protect(struct keeper *k, struct client *c, const struct msg *m)
{
    __attribute__((cleanup(wipe_order))) struct order o = {
        .k = k, .c = c, .why = {"the request is malformed"}};
    o.leave_esp = m->protect.flags & MSG_PROTECT_NO_ESP;
    enum err e = msg_text_copy(m->protect.device, o.device, sizeof o.device);
    if (e == ERR_OK)
        e = take_unlock(m->protect.passphrase, m->protect.flags, &o.unlock);
    if (e == ERR_OK)
        e = bitlocker_escrow_is(o.device) ? protect_bitlocker(&o, m->protect.flags)
                                          : protect_luks(&o, m->protect.flags);
    if (e != ERR_OK)
        keeper_reply_error(c, e, o.why.text);
}

static enum err wait_for_secret(struct order *o, const struct header *h)
{
    enum err e = rotate_want(&o->k->agent, &h->luks.uuid, KH_CAUSE_COMMAND, "a rotation was asked for");
    o->needs_secret = e == ERR_OK;
    if (e == ERR_NOT_FOUND)
        return problem_set(&o->why, e, "volume %s is not protected; nothing was changed", o->device);
    return problem_set(
        &o->why, ERR_BUSY,
        "volume %s: nothing opens it now for a rotation; nothing was changed; give a passphrase: "
        "keyholt-agent rotate %s --passphrase-file FILE",
        o->device, o->device);
}

/* It stays wanted: what keeps it from being done may pass at any time. */
static enum err wait_for_tpm(struct order *o, const struct header *h, enum err why)
{
    struct problem said = o->why;
    o->needs_secret = true;
    enum err e = rotate_want(&o->k->agent, &h->luks.uuid, KH_CAUSE_COMMAND, "a rotation was asked for");
    o->why = said;
    return e == ERR_OK || e == ERR_NOT_FOUND ? why : e;
}

static enum err rotate_one(struct order *o)
{
    struct header *h = NULL;
    struct protect_result r;
    TRY(open_in_order(o, &h));
    bool known = header_count_live(h) > 0;
    enum err e =
        known || o->unlock.kind != UNLOCK_MANAGEMENT ? rotate_now(o, h, KH_CAUSE_COMMAND, &r) : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND && o->unlock.kind == UNLOCK_MANAGEMENT)
        e = wait_for_secret(o, h);
    else if (e == ERR_OFFLINE && o->unlock.kind == UNLOCK_MANAGEMENT)
        e = wait_for_tpm(o, h, e);
    if (e == ERR_OK)
        reply_done(o, h, &r, false, "its recovery password is replaced");
    header_close(h);
    return e;
}

/* "rotate" without a device: good for the usual computer with one volume. */
static enum err only_volume(struct order *o)
{
    unsigned n = 0;
    struct cache_volume *v = NULL;
    enum err e = cache_volumes(o->k->agent.cache, &v, &n);
    if (e == ERR_OK && n == 1)
        strcpy(o->device, v[0].device);
    else if (e == ERR_OK)
        e = problem_set(&o->why, ERR_NOT_FOUND,
                        n ? "there are %u volumes; nothing was changed; name one: keyholt-agent rotate DEVICE"
                          : "there are %u protected volumes; nothing was changed",
                        n);
    free(v);
    return e;
}

static void reply_needs_secret(struct order *o, enum err e)
{
    struct json_object *json = json_object_new_object();
    json_object_object_add(json, "error", json_object_new_string(err_name(e)));
    json_object_object_add(json, "message", json_object_new_string(o->why.text));
    json_object_object_add(json, "needs_secret", json_object_new_boolean(true));
    keeper_reply(o->c, KH_EXIT_QUEUED, o->why.text, json);
}

void verb_rotate(struct keeper *k, struct client *c, const struct msg *m)
{
    __attribute__((cleanup(wipe_order))) struct order o = {
        .k = k, .c = c, .why = {"the request is malformed"}};
    enum err e = msg_text_copy(m->rotate.device, o.device, sizeof o.device);
    if (e == ERR_OK)
        e = take_unlock(m->rotate.passphrase, m->rotate.flags, &o.unlock);
    if (e == ERR_OK && o.device[0] == 0)
        e = only_volume(&o);
    if (e == ERR_OK)
        e = rotate_one(&o);
    if (o.needs_secret)
        reply_needs_secret(&o, e);
    else if (e != ERR_OK)
        keeper_reply_error(c, e, o.why.text);
}
