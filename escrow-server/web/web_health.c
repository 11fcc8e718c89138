/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web/web_call.h"

/* Healthy means that records can be taken; a vault that is away is said, but changes nothing for devices. */
void web_health(struct call *c)
{
    if (!back_is_up(c->web, BACK_WRITER))
        return call_problem(c, 503, 10, back_away[BACK_WRITER]);
    if (!back_is_up(c->web, BACK_READER)) /* says whose key a record has to be signed with */
        return call_problem(c, 503, 10, back_away[BACK_READER]);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string("ok"));
    json_object_object_add(o, "disclosure", json_object_new_boolean(web_vault_discloses(c->web)));
    web_vault_health(c->web, o);
    call_json(c, o);
}

static struct json_object *store_object(uint8_t err, bool replicated)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "writable", json_object_new_boolean(err == ERR_OK));
    json_object_object_add(o, "replicated", json_object_new_boolean(replicated));
    return o;
}

/* why: the sentence for when nothing can be disclosed either. */
static void answer_ready(struct call *c, const struct msg_probed *probed, const char *why)
{
    bool writes = probed->err[0] == ERR_OK; /* the recovery store's */
    bool discloses = web_vault_discloses(c->web);
    if (!writes && (!discloses || c->unread))
        return call_problem(c, 503, 10, why);
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string("ready"));
    json_object_object_add(o, "writes", json_object_new_boolean(writes));
    json_object_object_add(o, "recovery", store_object(probed->err[0], probed->replicated[0]));
    json_object_object_add(o, "compliance", store_object(probed->err[1], probed->replicated[1]));
    json_object_object_add(o, "disclosure", json_object_new_boolean(discloses));
    call_json(c, o);
}

static const struct msg_probed nothing_written = {.err = {ERR_OFFLINE, ERR_OFFLINE}};

static void on_probed(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    struct msg_probed probed;
    c->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_probed(m->body, m->len, &probed);
    if (e != ERR_OK)
        answer_ready(c, &nothing_written, "The store writer does not answer.");
    else
        answer_ready(c, &probed, "The recovery store cannot be written.");
}

static void probe_writer(struct call *c)
{
    if (back_begin(c->web, BACK_WRITER, MSG_PROBE, on_probed, c, &c->waiting) == NULL)
        return answer_ready(c, &nothing_written, back_away[BACK_WRITER]);
    back_send(c->web, BACK_WRITER);
}

/* That it does not know this device is an answer. */
static void on_read(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    c->waiting = 0;
    if (m == NULL)
        return call_problem(c, 503, 10, "The store reader does not answer.");
    c->unread = e != ERR_OK && e != ERR_NOT_FOUND;
    probe_writer(c);
}

/* Ready means that there is something that only a server can do and this one can: make the record of an
 * escrow durable (the writer tried), or disclose (a key can be looked up, if only at a standby, and the vault
 * opens envelopes). A balancer that took a server away that can do one of both would end it exactly when
 * nothing else is left; which of them it is the answer says. */
void web_ready(struct call *c)
{
    if (c->web->stopping)
        return call_problem(c, 503, 10, "The server is about to stop.");
    const struct msg_device nobody = {0};
    struct writer *body = back_begin(c->web, BACK_READER, MSG_DEVICE, on_read, c, &c->waiting);
    if (body == NULL)
        return call_problem(c, 503, 10, back_away[BACK_READER]);
    msg_put_device(body, &nobody);
    back_send(c->web, BACK_READER);
}
