#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one place where the desk lets a password out: straight to standard output, past stdio's buffers, which
 * nobody wipes. */

#include "formats/envelope.h"
#include "formats/host/audit_chain.h"

/* For people: digits, key ID, volume, origin. err: IO */
MUST_CHECK enum err desk_print_text(const struct envelope *envelope, const struct secret *password);
/* One JSON object: recovery_password, key_id, volume, device, time, audit {n, hash}. err: IO */
MUST_CHECK enum err desk_print_json(const struct envelope *envelope, const struct secret *password,
                                    const struct audit_head *head);
