/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/web_call.h"

/* Healthy means that records can be taken; a vault that is away is said, but changes nothing for devices. */
void web_health(struct call *c)
{
    if (!back_is_up(c->web, BACK_WRITER))
        return call_problem(c, 503, 10, "The store writer is away.");
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "status", json_object_new_string("ok"));
    json_object_object_add(o, "disclosure", json_object_new_boolean(web_vault_discloses(c->web)));
    web_vault_health(c->web, o);
    call_json(c, o);
}
