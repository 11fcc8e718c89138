#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON of an enrolment. source: docs/formats.md#enrolment */

#include "crypto/err.h"
#include "escrow-server/process/msg.h"
#include <json-c/json.h>

/* The token is hashed, the computer's name cleaned; ret borrows the certificate request from o.
 * ret_device: the ID, the hash of the device's key
 * err: FORMAT, RANGE, NOT_FOUND (a field, or the key, is missing or not in its form), INTERNAL */
MUST_CHECK enum err enroll_read(struct json_object *o, struct msg_enroll *ret, uint8_t ret_device[static 32]);
