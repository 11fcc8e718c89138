#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Receipts that a person has: in the answers of `import outbox`, and in outboxes with records that come
 * again. The server has none of its own; each says that a record was durable, so it must be in the store. */

#include "escrow-server/store/store_check.h"

/* Check each receipt of these files, and count; what cannot be read is wrong. err: of the store */
MUST_CHECK enum err verify_receipts(struct store_check *c, const char *const *path, unsigned n);
