/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify, asked for by a person: what the keeper does at start and on its timer, and what came of it. */
#include "agent/keeper.h"
#include "agent/volume_status.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tally {
    unsigned volumes, verified;
};

static void count(struct agent *a, const struct cache_volume *v, struct json_object *list, struct tally *t)
{
    struct json_object *o = volume_status(a, v), *verified = NULL;
    t->volumes++;
    t->verified += json_object_object_get_ex(o, "verified", &verified) && json_object_get_boolean(verified);
    json_object_array_add(list, o);
}

static struct json_object *result(struct agent *a, const char *device, struct tally *t)
{
    struct json_object *list = json_object_new_array(), *o = json_object_new_object();
    struct cache_volume *v = NULL;
    unsigned n = 0;
    if (cache_volumes(a->cache, &v, &n) != ERR_OK)
        n = 0;
    for (unsigned i = 0; i < n; i++)
        if (!device[0] || strcmp(v[i].device, device) == 0)
            count(a, &v[i], list, t);
    free(v);
    json_object_object_add(o, "volumes", list);
    json_object_object_add(o, "verified", json_object_new_boolean(t->volumes && t->verified == t->volumes));
    return o;
}

void verb_verify(struct keeper *k, struct client *c, const struct msg *m)
{
    char device[PATH_MAX], text[200];
    struct tally t = {0};
    if (msg_text_copy(m->verify.device, device, sizeof device) != ERR_OK) {
        keeper_reply_error(c, ERR_FORMAT, "the request is malformed");
        return;
    }
    chores_look(&k->chores, &k->agent);
    struct json_object *o = result(&k->agent, device, &t);
    if (t.volumes == 0) {
        json_object_put(o);
        keeper_reply_error(c, ERR_NOT_FOUND,
                           device[0] ? "this volume is not protected" : "no volume is protected");
        return;
    }
    (void)snprintf(text, sizeof text,
                   "%u of %u volumes verified: the password that was sealed opened the keyslot, and "
                   "nothing has changed since%s",
                   t.verified, t.volumes, t.verified < t.volumes ? "; the others: keyholt-agent status" : "");
    keeper_reply(c, t.verified == t.volumes ? KH_EXIT_OK : KH_EXIT_NO, text, o);
}
