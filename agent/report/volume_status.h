#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the cache knows of one volume and its keys, as JSON for status and verify. */

#include "agent/state/agent.h"
#include <json-c/json.h>

/* device, uuid, state, note; key_id, key_id_short, slot, verified, escrow of the key in use; keys: every key
 * in use with made, cause, verified, escrow, spent; management (how this computer opens it for a rotation);
 * checked, rotate_due (times or null; "verified" is as of checked); re_encryption ("recommended" or null).
 * Returns what the caller puts */
struct json_object *volume_status(struct agent *a, const struct cache_volume *v);
