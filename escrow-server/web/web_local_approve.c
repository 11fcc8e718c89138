/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web_local.h"
#include "formats/envelope.h"
#include "formats/host/json_strict.h"
#include <stdio.h>

/* A request that waits for a second person: shown (vault), with the computer's name (reader), or approved. */

static void add_text(struct json_object *o, const char *name, const char *text)
{
    json_object_object_add(o, name, json_object_new_string(text));
}

/* Without the name where the store does not know it, or is away. */
static void on_computer(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_found found = {.n = 0};
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_found(m->body, m->len, &found);
    if (e == ERR_OK && found.n == 1)
        add_text(l->keys, "computer", found.item[0].computer);
    local_answer(l, json_object_get(l->keys), NULL);
}

static void find_computer(struct local *l, const struct msg_wish *wish)
{
    snprintf(l->find.key, sizeof l->find.key, "%s", wish->key_id);
    snprintf(l->find.device, sizeof l->find.device, "%s", wish->device);
    struct writer *body = back_begin(l->web, BACK_READER, MSG_FIND, on_computer, l, &l->waiting);
    if (body == NULL)
        return on_computer(l, ERR_OFFLINE, NULL);
    msg_put_find(body, &l->find);
    back_send(l->web, BACK_READER);
}

static void on_wish(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_wish wish;
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_wish(m->body, m->len, &wish);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    l->keys = local_ok();
    json_object_object_add(l->keys, "entry", json_object_new_uint64(wish.n));
    json_object_object_add(l->keys, "approved", json_object_new_boolean(wish.approved));
    add_text(l->keys, "who", wish.who);
    add_text(l->keys, "key_id", wish.key_id);
    add_text(l->keys, "volume", wish.volume);
    add_text(l->keys, "device", wish.device);
    add_text(l->keys, "user", wish.user);
    add_text(l->keys, "reason", wish.reason);
    find_computer(l, &wish);
}

void local_wish(struct local *l)
{
    uint64_t n;
    if (json_get_u64(l->request, "entry", &n) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "The number of the entry is missing.");
    struct writer *body = local_begin(l, BACK_VAULT, MSG_WISH, on_wish);
    if (body == NULL)
        return;
    msg_put_u64(body, n);
    back_send(l->web, BACK_VAULT);
}

void local_approve(struct local *l)
{
    struct msg_approve a = {.password = {l->secret.bytes, l->secret.len}};
    const char *who;
    if (json_get_text(l->request, "as", MSG_NAME, &who) != ERR_OK ||
        json_get_u64(l->request, "entry", &a.n) != ERR_OK || local_code(l->request, a.code) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "A field of the approval is missing.");
    snprintf(a.who, sizeof a.who, "%s", who);
    struct writer *body = local_begin(l, BACK_VAULT, MSG_APPROVE, on_wish);
    if (body == NULL)
        return;
    msg_put_approve(body, &a);
    secret_wipe(&l->secret);
    back_send(l->web, BACK_VAULT);
}
