#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One line of the audit chain: an entry as JSON. Reading a line is audit_check_line() (audit_chain.h).
 * Hosted. */

#include "formats/host/audit_chain.h"

/* Encode the entry that follows head. n, chain and prev are taken from head (n is one more), not from the
 * entry; the salt is fresh. ret: the line with its newline, AUDIT_LINE_MAX bytes of room
 * err: FORMAT (no UTF-8, control
 * characters, empty who or action), RANGE, NOMEM */
MUST_CHECK enum err audit_line_encode(const struct audit_head *head, const struct audit_entry *entry,
                                      char ret[static AUDIT_LINE_MAX], size_t *ret_len);
