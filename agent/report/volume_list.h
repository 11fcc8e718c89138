#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every volume of this computer, with what the disk says, what the cache knows and how it stands to the
 * policy; and the devices that are none, with the reason. For status, reports and doctor. */

#include "agent/device/inventory.h"
#include "agent/state/agent.h"
#include "crypto/err.h"
#include <json-c/json.h>

struct volume_list {
    struct json_object *volumes, *others; /* arrays; docs/formats.md#status */
};

/* v: what the devices said. ret: both are the caller's to put. err: NOMEM, IO (the cache) */
MUST_CHECK enum err volume_list(struct agent *a, const struct inventory *v, struct volume_list *ret);
