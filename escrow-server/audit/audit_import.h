#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Foreign chains: laid down for the vault, which verifies them, puts them on record in its own log and keeps
 * them whole. */

#include "crypto/err.h"
#include "formats/host/audit_chain.h"

/* root: of the server; who: named in the vault's entry
 * ret_head:    of the chain that was read
 * ret_added:   entries that were not here before
 * ret_detail:  a sentence where the result is not OK; borrowed, static
 * err: AUTH or FORMAT (the chain is broken), CONFLICT (it is not a continuation of what was imported before),
 *      OFFLINE (the server is not running, so nothing can be put on record), IO */
MUST_CHECK enum err audit_import(const char *root, const char *file, const char *who,
                                 struct audit_head *ret_head, uint64_t *ret_added, const char **ret_detail);
