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

static void on_probed(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    struct msg_probed probed;
    c->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_probed(m->body, m->len, &probed);
    if (e != ERR_OK)
        return call_problem(c, 503, 10, "The store writer does not answer.");
    if (probed.err[0] != ERR_OK) /* the recovery store's */
        return call_problem(c, 503, 10, "The recovery store cannot be written.");
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string("ready"));
    json_object_object_add(o, "recovery", store_object(probed.err[0], probed.replicated[0]));
    json_object_object_add(o, "compliance", store_object(probed.err[1], probed.replicated[1]));
    json_object_object_add(o, "disclosure", json_object_new_boolean(web_vault_discloses(c->web)));
    call_json(c, o);
}

static void probe_writer(struct call *c)
{
    if (back_begin(c->web, BACK_WRITER, MSG_PROBE, on_probed, c, &c->waiting) == NULL)
        return call_problem(c, 503, 10, back_away[BACK_WRITER]);
    back_send(c->web, BACK_WRITER);
}

/* That it does not know this device, or that its store does not answer, is an answer. */
static void on_read(void *ctx, enum err e, const struct msg_frame *m)
{
    struct call *c = ctx;
    (void)m;
    c->waiting = 0;
    if (e == ERR_OFFLINE || e == ERR_TIMEOUT)
        return call_problem(c, 503, 10, "The store reader does not answer.");
    probe_writer(c);
}

/* Ready means that a record of an escrow would be durable: the writer tried. Without the compliance store or
 * the vault the rest of the work goes on, so a balancer must go on sending devices here; both are said. */
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
