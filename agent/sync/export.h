#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For a machine that sees no network: what it would say to a server, as bytes for a file, and what a server
 * answered to such a file. docs/formats.md#outbox */

#include "agent/msg.h"
#include "agent/problem.h"
#include "agent/state/agent.h"
#include "agent/sync/sync.h"
#include "crypto/err.h"

struct export_totals {
    unsigned outboxes, records;
};
/* Everything that waits, as one outbox behind the other, under the next number of the device's own; nothing
 * is marked as sent.
 * enrollment: the request (MSG_ENROLL_DO) of a device that no server has accepted yet, else NULL
 * sink: takes each outbox; what it fails with comes back
 * err: of the cache and of the device key; NOMEM */
MUST_CHECK enum err export_all(struct agent *a, const struct msg *enrollment,
                               enum err (*sink)(void *ctx, const uint8_t *p, size_t len), void *ctx,
                               struct export_totals *ret);

/* Take in one answer. Receipts, commands and certificate are verified as in a sync; what the server lacks
 * goes into the outbox again.
 * why: filled on failure
 * err: FORMAT, VERSION (it cannot be read), DENIED (for another device or organisation); of the cache */
MUST_CHECK enum err import_answer(struct agent *a, const uint8_t *in, size_t len, struct sync_outcome *ret,
                                  struct problem *why);
