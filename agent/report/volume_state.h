#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For volume_list.c only: state, note and verdict of one volume, from the disk's word and the cache's. */

#include "agent/device/inventory.h"
#include "agent/state/agent.h"
#include <json-c/json.h>

/* "state" and "note" (and "verified" of BitLocker) where the disk says more than the cache: of volumes that
 * the cache does not know, and of formats that keep their keys themselves. i: device. known: the cache's
 * volume, NULL none. copy_of: the volume of which this device is a copy, or NULL */
void volume_state_add(struct agent *a, const struct inventory *v, unsigned i,
                      const struct cache_volume *known, const struct cache_volume *copy_of,
                      struct json_object *o);
/* "compliant" and "reasons", by the policy and what o says so far. */
void volume_verdict_add(struct agent *a, const struct inventory *v, unsigned i, struct json_object *o);
