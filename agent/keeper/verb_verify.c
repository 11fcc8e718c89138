/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify, asked for by a person: what the keeper does at start and on its timer, and what came of it. */
#include "agent/keeper/keeper.h"
#include "agent/report/volume_list.h"
#include "crypto/err.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

struct tally {
    unsigned volumes, looked, verified;
};

static bool flag(struct json_object *o, const char *name)
{
    struct json_object *v;
    return json_object_object_get_ex(o, name, &v) && json_object_get_boolean(v);
}

/* One that was there, but whose keyslots this look did not come to (its lock is held, it does not answer),
 * keeps what it was, and counts for neither. A header that is gone, and BitLocker's metadata, are seen by the
 * inventory. */
static void judge(struct json_object *v, uint64_t since)
{
    struct json_object *format, *state;
    uint64_t checked = 0;
    bool other = json_object_object_get_ex(v, "format", &format) && format &&
                 strcmp(json_object_get_string(format), "luks2") != 0;
    bool lost = json_object_object_get_ex(v, "state", &state) && state &&
                strcmp(json_object_get_string(state), "header-destroyed") == 0;
    if (other || lost ||
        (json_get_u64(v, "checked", &checked) == ERR_OK && checked >= since &&
         checked <= (uint64_t)time(NULL)))
        return;
    json_object_object_add(v, "looked_at", json_object_new_boolean(false));
    json_object_object_add(v, "verified", NULL);
}

/* Only a volume that the cache knows has keys to verify. */
static bool is_asked_for(struct json_object *v, const char *device)
{
    struct json_object *name;
    return json_object_object_get_ex(v, "keys", NULL) &&
           (!device[0] || (json_object_object_get_ex(v, "device", &name) && name &&
                           strcmp(json_object_get_string(name), device) == 0));
}

static struct json_object *pick(struct json_object *all, const char *device, uint64_t since, struct tally *t)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *v = json_object_array_get_idx(all, i);
        if (!is_asked_for(v, device))
            continue;
        judge(v, since);
        t->volumes++;
        t->looked += flag(v, "looked_at");
        t->verified += flag(v, "looked_at") && flag(v, "verified");
        json_object_array_add(list, json_object_get(v));
    }
    return list;
}

static enum err result(struct agent *a, const char *device, uint64_t since, struct tally *t,
                       struct json_object **ret)
{
    struct volume_list l = {NULL, NULL};
    struct inventory v;
    TRY(inventory_make(a->root, &v));
    enum err e = volume_list(a, &v, &l);
    inventory_free(&v);
    TRY(e);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "volumes", pick(l.volumes, device, since, t));
    json_object_object_add(o, "verified", json_object_new_boolean(t->looked && t->verified == t->looked));
    json_object_object_add(o, "not_looked_at", json_object_new_int((int)(t->volumes - t->looked)));
    json_object_put(l.volumes);
    json_object_put(l.others);
    *ret = o;
    return ERR_OK;
}

static void reply(struct client *c, const struct tally *t, struct json_object *o)
{
    char text[300], more[80] = "";
    unsigned away = t->volumes - t->looked;
    bool good = t->verified == t->looked;
    if (away)
        (void)snprintf(more, sizeof more, "; %u not looked at, because not here or not to be read now", away);
    (void)snprintf(text, sizeof text,
                   "%u of %u volumes verified: the password that was sealed opened the keyslot, and "
                   "nothing has changed since%s%s",
                   t->verified, t->looked, good ? "" : "; the others: keyholt-agent status", more);
    keeper_reply(c, good ? KH_EXIT_OK : KH_EXIT_NO, text, o);
}

void verb_verify(struct keeper *k, struct client *c, const struct msg *m)
{
    char device[PATH_MAX];
    struct tally t = {0};
    struct json_object *o = NULL;
    uint64_t since = (uint64_t)time(NULL);
    if (msg_text_copy(m->verify.device, device, sizeof device) != ERR_OK) {
        keeper_reply_error(c, ERR_FORMAT, "the request is malformed");
        return;
    }
    chores_look(&k->chores, &k->agent);
    enum err e = result(&k->agent, device, since, &t, &o);
    if (e == ERR_OK && t.looked) {
        reply(c, &t, o);
        return;
    }
    json_object_put(o);
    if (e != ERR_OK)
        keeper_reply_error(c, e, "the volumes cannot be listed");
    else if (t.volumes)
        keeper_reply_error(c, ERR_NOT_FOUND,
                           device[0]
                               ? "this volume is not here, or cannot be read now: not looked at; when it "
                                 "was last: keyholt-agent status"
                               : "no protected volume is here now: none was looked at; when each was "
                                 "last: keyholt-agent status");
    else
        keeper_reply_error(c, ERR_NOT_FOUND,
                           device[0] ? "this volume is not protected" : "no volume is protected");
}
