#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every audit chain that a server has: the vault's first, then the imported ones, each verified. */

#include "crypto/p256.h"
#include "escrow-server/audit_view.h"

#define AUDIT_SOURCES_MAX 64

struct audit_reading {
    struct audit_view view;
    struct audit_source source[AUDIT_SOURCES_MAX]; /* the vault's is number 0 */
    unsigned n;
    bool has_key; /* audit.pub: */
    struct cr_p256_pub key;
};

/* err: DENIED (ask as root), FULL (more chains than there is room for), NOMEM, RANGE */
MUST_CHECK enum err audit_read_all(struct audit_reading *r, const char *root);
/* One sentence on chain i. An imported one must have the head that the vault's own log names; every
 * checkpoint of the vault's must be signed by its key; whose personal part is gone must be in an order; and
 * no alarm of lost entries may stand in it. So the view must still hold every entry. ret_good: nothing is
 * wrong with it */
const char *audit_judge(const struct audit_reading *r, unsigned i, bool *ret_good);
