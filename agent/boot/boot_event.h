#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The boot event that the recovery app left in an EFI variable: made a record, then deleted. */

#include "agent/state/agent.h"
#include "crypto/err.h"
#include "formats/guid.h"
#include "formats/handoff.h"

/* Read the event, queue its record and mark the key's volume for rotation when the app opened it with a key
 * that is still in use; both durable before the variable is deleted. A variable that could not be deleted
 * does not make a second record. What is no event is deleted, and one sentence says so.
 * ret: what it said
 * err: NOT_FOUND (no event), FULL, DENIED (it could not be deleted; the record stands), IO */
MUST_CHECK enum err boot_event_collect(struct agent *a, struct boot_event *ret);
