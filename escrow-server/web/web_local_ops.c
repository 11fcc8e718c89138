/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web_local.h"
#include "formats/base.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <string.h>

void local_token(struct local *l)
{
    struct msg_token t;
    if (json_get_hex(l->request, "hash", t.hash, sizeof t.hash) != ERR_OK ||
        json_get_u64(l->request, "expires", &t.expires) != ERR_OK ||
        json_get_u64(l->request, "uses", &t.uses) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "A field of the token is missing.");
    struct writer *body = local_begin(l, BACK_WRITER, MSG_TOKEN, local_done);
    if (body == NULL)
        return;
    msg_put_token(body, &t);
    back_send(l->web, BACK_WRITER);
}

/* What it disclosed is told to the store, and its keys are ordered to rotate. */
static void on_imported(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_imported is;
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_imported(m->body, m->len, &is);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    if (is.added > 0)
        l->web->replay.again = true;
    struct json_object *o = local_ok();
    json_object_object_add(o, "entries", json_object_new_int64((int64_t)is.n));
    json_object_object_add(o, "added", json_object_new_int64((int64_t)is.added));
    local_answer(l, o, NULL);
}

void local_import(struct local *l)
{
    struct msg_import i = {0};
    const char *who, *chain;
    if (json_get_text(l->request, "as", MSG_NAME, &who) != ERR_OK ||
        json_get_text(l->request, "chain", MSG_CHAIN, &chain) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "A field of the import is missing.");
    snprintf(i.who, sizeof i.who, "%s", who);
    snprintf(i.chain, sizeof i.chain, "%s", chain);
    struct writer *body = local_begin(l, BACK_VAULT, MSG_IMPORT, on_imported);
    if (body == NULL)
        return;
    msg_put_import(body, &i);
    back_send(l->web, BACK_VAULT);
}

static void on_erased(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    uint64_t n;
    if (!local_number(l, e, m, &n))
        return;
    l->web->replay.again = true; /* the store has names, too */
    struct json_object *o = local_ok();
    json_object_object_add(o, "erased", json_object_new_int64((int64_t)n));
    local_answer(l, o, NULL);
}

static enum err read_erase(struct local *l, struct msg_erase *ret)
{
    const char *who, *chain;
    struct json_object *list;
    TRY(json_get_text(l->request, "as", MSG_NAME, &who));
    TRY(json_get_text(l->request, "chain", MSG_CHAIN, &chain));
    TRY(json_get_array(l->request, "entries", MSG_ERASE_MAX, &list));
    TRY(local_code(l->request, ret->code));
    snprintf(ret->who, sizeof ret->who, "%s", who);
    snprintf(ret->chain, sizeof ret->chain, "%s", chain);
    ret->count = (unsigned)json_object_array_length(list);
    for (unsigned i = 0; i < ret->count; i++)
        ret->n[i] = json_object_get_uint64(json_object_array_get_idx(list, i));
    return ret->count > 0 ? ERR_OK : ERR_RANGE;
}

void local_erase(struct local *l)
{
    struct msg_erase e = {.password = {l->secret.bytes, l->secret.len}};
    if (read_erase(l, &e) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "A field is missing, or too many entries are named at once.");
    struct writer *body = local_begin(l, BACK_VAULT, MSG_ERASE, on_erased);
    if (body == NULL)
        return;
    msg_put_erase(body, &e);
    secret_wipe(&l->secret);
    back_send(l->web, BACK_VAULT);
}

static struct json_object *boot_object(const struct msg_boot *b)
{
    char key[GUID_TEXT], volume[GUID_TEXT], device[BASE16_LEN(32) + 1];
    struct json_object *o = json_object_new_object();
    guid_encode(&b->key_id, key);
    guid_encode(&b->volume, volume);
    base16_encode(b->device, sizeof b->device, device);
    json_object_object_add(o, "time", json_object_new_int64((int64_t)b->time));
    json_object_object_add(o, "received", json_object_new_int64((int64_t)b->received));
    json_object_object_add(o, "device", json_object_new_string(device));
    json_object_object_add(o, "key_id", json_object_new_string(key));
    json_object_object_add(o, "volume", json_object_new_string(volume));
    json_object_object_add(o, "result", json_object_new_int(b->result));
    json_object_object_add(o, "reason", json_object_new_int(b->reason));
    return o;
}

static void on_boots(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_boots boots;
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_boots(m->body, m->len, &boots);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    struct json_object *o = local_ok(), *list = json_object_new_array();
    for (unsigned i = 0; i < boots.n; i++)
        json_object_array_add(list, boot_object(&boots.item[i]));
    json_object_object_add(o, "boots", list);
    local_answer(l, o, NULL);
}

void local_boots(struct local *l)
{
    if (local_key(l->request, l->find.key) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "A key ID, or the beginning of one, has hexadecimal digits only.");
    struct writer *body = local_begin(l, BACK_READER, MSG_BOOTS, on_boots);
    if (body == NULL)
        return;
    msg_put_find(body, &l->find);
    back_send(l->web, BACK_READER);
}
