/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web_local.h"
#include "formats/base.h"

static unsigned count_good(const struct web *w)
{
    unsigned good = 0;
    for (unsigned i = 0; i < w->vault.n; i++)
        good += w->vault.key[i].err == ERR_OK;
    return good;
}

bool web_vault_discloses(struct web *w)
{
    return back_vault_said(w) && w->vault.log && count_good(w) > 0;
}

void web_vault_health(struct web *w, struct json_object *o)
{
    if (!back_vault_said(w))
        return;
    struct json_object *keys = json_object_new_object();
    unsigned good = count_good(w);
    json_object_object_add(keys, "opened", json_object_new_int((int)good));
    json_object_object_add(keys, "failed", json_object_new_int((int)(w->vault.n - good)));
    json_object_object_add(o, "escrow_keys", keys);
    web_losses_health(w, o);
}

static struct json_object *key_object(const struct msg_vault_key *k)
{
    char hex[BASE16_LEN(32) + 1];
    struct json_object *o = json_object_new_object();
    base16_encode(k->id, sizeof k->id, hex);
    json_object_object_add(o, "id", json_object_new_string(hex));
    json_object_object_add(o, "file", json_object_new_string(k->name));
    json_object_object_add(o, "opened", json_object_new_boolean(k->err == ERR_OK));
    json_object_object_add(o, "reason", json_object_new_string(err_text((enum err)k->err)));
    return o;
}

void local_vault(struct local *l)
{
    const struct msg_vault_is *v = &l->web->vault;
    if (!back_vault_said(l->web))
        return local_away(l, BACK_VAULT);
    struct json_object *o = local_ok(), *list = json_object_new_array();
    for (unsigned i = 0; i < v->n; i++)
        json_object_array_add(list, key_object(&v->key[i]));
    json_object_object_add(o, "log", json_object_new_boolean(v->log));
    json_object_object_add(o, "audit_lost", json_object_new_int64((int64_t)v->lost));
    json_object_object_add(o, "keys", list);
    local_answer(l, o, NULL);
}
