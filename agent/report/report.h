#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The compliance report: what this computer is, its volumes, and the verdict by the policy, as a record for
 * the compliance store. Field list: docs/formats.md#report. It names no person: mount points below /home and
 * /media stay here. */

#include "agent/state/agent.h"
#include "crypto/err.h"
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#define REPORT_MAX 4000 /* bytes of JSON; with its tag and length it must fit a record's body */

/* Make the text from volume_list()'s array.
 * ret: REPORT_MAX bytes; volumes that find no room are counted in "left_out", those that are not as they
 * should be come first err: NOMEM, INTERNAL (even without volumes too long) */
MUST_CHECK enum err report_text(struct agent *a, struct json_object *volumes, char ret[static REPORT_MAX],
                                size_t *ret_len);

/* Look at everything and queue a report: when it says other things than the last one, or that is a day old.
 * ret_new: one was queued. err: NOMEM, FULL, IO */
MUST_CHECK enum err report_update(struct agent *a, bool *ret_new);
/* The same because an organisation ordered it, whatever the last one said, with the event that answers the
 * order. ret_new: true on ERR_OK */
MUST_CHECK enum err report_order(struct agent *a, const struct guid *order, bool *ret_new);
