/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/keeper/receipt_wait.h"
#include "formats/names.h"
#include <stdio.h>
#include <string.h>

#define ANSWERS 2 /* the first may be to a batch that was on its way before the key was made */

bool receipt_wait_needed(struct agent *a, const struct guid *volume)
{
    struct cache_volume v;
    return a->policy.escrow == POLICY_RECEIPT && cache_get_volume(a->cache, volume, &v) == ERR_OK &&
           v.state == VOLUME_WAITS_RECEIPT;
}

void receipt_wait(struct keeper *k, struct client *c, const struct protect_result *r,
                  struct json_object *made)
{
    c->key_id = r->key_id;
    c->asked = 0;
    c->made = made;
    agent_say(&k->agent,
              "its recovery key is made and opens it; waiting for a server to confirm the key, as the "
              "policy wants (escrow: receipt)");
    keeper_await(k, c, ERRAND_RECEIPT, "the courier is not running: systemctl start keyholt-courier");
}

static void reply(struct client *c, int exit_code, const char *state, const char *text)
{
    json_object_object_add(c->made, "state", json_object_new_string(state));
    keeper_reply(c, exit_code, text, c->made);
}

void receipt_wait_failed(struct client *c, const char *why)
{
    char text[PROBLEM_MAX + 320];
    (void)snprintf(text, sizeof text,
                   "the volume's recovery key is made, sealed in its header and opens it, but no server has "
                   "confirmed the key yet (%s); as the policy wants (escrow: receipt), the volume counts as "
                   "protected when one has; that is queued",
                   why);
    json_object_object_add(c->made, "message", json_object_new_string(text));
    reply(c, KH_EXIT_QUEUED, "waits-for-receipt", text);
}

static struct client *waiting(struct keeper *k, int i)
{
    struct client *c = &k->client[i];
    return channel_is_open(&c->channel) && c->waits == ERRAND_RECEIPT ? c : NULL;
}

void receipt_wait_all_failed(struct keeper *k, const char *why)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++)
        if (waiting(k, i))
            receipt_wait_failed(&k->client[i], why);
}

static void look(struct keeper *k, struct client *c)
{
    struct cache_key key;
    if (cache_get_key(k->agent.cache, &c->key_id, &key) == ERR_OK && key.receipted)
        reply(c, KH_EXIT_OK, "protected",
              "the volume is protected, and a server has confirmed its recovery key");
    else if (++c->asked < ANSWERS)
        (void)keeper_hurry_courier(k);
    else
        receipt_wait_failed(c, "the server that answered gave no receipt for it");
}

void receipt_wait_answered(struct keeper *k)
{
    for (int i = 0; i < KEEPER_CLIENTS; i++)
        if (waiting(k, i))
            look(k, &k->client[i]);
}
