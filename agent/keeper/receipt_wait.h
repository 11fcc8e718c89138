#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* protect under a policy of escrow = receipt: the key is made, sealed and opens the volume (DESIGN section 6,
 * not one step is put off); what waits for a server's receipt is the word "protected", and with it whatever
 * must not begin before. The command waits while a server is asked; the volume waits in the cache. */

#include "agent/keeper/keeper.h"
#include "agent/volume/protect.h"

/* Must this volume wait? Judged by what the cache says of it now. */
bool receipt_wait_needed(struct agent *a, const struct guid *volume);
/* Let the client wait for the receipt of the key that was made. made: what a result says, taken over */
void receipt_wait(struct keeper *k, struct client *c, const struct protect_result *r,
                  struct json_object *made);
/* A server has answered: whose key is receipted now hears "protected", the others "queued" when it was not
 * the first answer. */
void receipt_wait_answered(struct keeper *k);
/* No server can be asked: queued, and why. */
void receipt_wait_failed(struct client *c, const char *why);
void receipt_wait_all_failed(struct keeper *k, const char *why);
