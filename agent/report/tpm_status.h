#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a person, or a report, should know of the TPM. */

#include "agent/state/agent.h"
#include <json-c/json.h>

/* {"present", "text": a sentence, "identity": is the device key in it, "problem": of the TPM or null} and,
 * when it answers, "manufacturer", "model", "firmware", "lockout": {"count", "max", "interval_s", "locked"}.
 * returns: the caller's; NULL when memory is short
 * cost: a real TPM takes half a second, and nothing of it is held afterwards */
struct json_object *tpm_json(struct agent *a);
