/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a client is told, and for what it waits. */
#include "agent/keeper/keeper.h"
#include "crypto/host/monotonic.h"
#include "formats/names.h"

#define PLAIN (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

void keeper_reply(struct client *c, int exit_code, const char *text, struct json_object *json)
{
    const char *json_text = json ? json_object_to_json_string_ext(json, PLAIN) : "{}";
    const struct msg m = {.type = MSG_RESULT,
                          .result = {.exit_code = (uint32_t)exit_code,
                                     .text = msg_text(text),
                                     .json = msg_text(json_text ? json_text : "{}")}};
    c->waits = ERRAND_NONE;
    c->no_courier = NULL;
    if (c->made != json)
        json_object_put(c->made);
    c->made = NULL;
    if (channel_queue(&c->channel, &m) != ERR_OK)
        channel_close(&c->channel);
    json_object_put(json);
}

static int exit_of(enum err e)
{
    switch (e) {
    case ERR_OK:
        return KH_EXIT_OK;
    case ERR_AUTH:
    case ERR_DENIED:
        return KH_EXIT_NO;
    case ERR_OFFLINE:
    case ERR_BUSY:
    case ERR_TIMEOUT:
        return KH_EXIT_QUEUED;
    default:
        return KH_EXIT_FAILED;
    }
}

void keeper_reply_error(struct client *c, enum err e, const char *text)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "error", json_object_new_string(err_name(e)));
    json_object_object_add(o, "message", json_object_new_string(text));
    keeper_reply(c, exit_of(e), text, o);
}

void keeper_finish_one(struct client *c, int exit_code, const char *text)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "done", json_object_new_boolean(exit_code == KH_EXIT_OK));
    json_object_object_add(o, "message", json_object_new_string(text));
    keeper_reply(c, exit_code, text, o);
}

void keeper_finish(struct keeper *k, enum keeper_errand which, int exit_code, const char *text)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++)
        if (channel_is_open(&k->client[i].channel) && k->client[i].waits == which)
            keeper_finish_one(&k->client[i], exit_code, text);
}

static bool call_courier(struct keeper *k, bool person)
{
    const struct msg m = {.type = MSG_SYNC_NOW, .sync_now.person = person};
    return channel_is_open(&k->courier) && channel_queue(&k->courier, &m) == ERR_OK;
}

bool keeper_wake_courier(struct keeper *k)
{
    return call_courier(k, false);
}

bool keeper_hurry_courier(struct keeper *k)
{
    return call_courier(k, true);
}

void keeper_await(struct keeper *k, struct client *c, enum keeper_errand which, const char *no_courier)
{
    c->waits = which;
    agent_step(&k->agent, "asking a server; a dead one costs some seconds");
    if (keeper_hurry_courier(k))
        return;
    agent_say(&k->agent, "the courier is not connected yet; waiting for it");
    c->no_courier = no_courier;
    c->deadline_ms = monotonic_ms() + k->courier_wait_ms;
}
