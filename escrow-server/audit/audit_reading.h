#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every audit chain that a server has: the vault's first, then the imported ones, each verified. */

#include "crypto/p256.h"
#include "escrow-server/audit/audit_view.h"
#include "formats/host/audit_gap.h"

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
 * checkpoint of the vault's must be signed by its key, and one of an imported chain be of this organisation;
 * whose personal part is gone must be in an order; and no alarm of lost entries may stand in it that no
 * person acknowledged. So the view must still hold every entry. ret_good: nothing is wrong with it */
const char *audit_judge(const struct audit_reading *r, unsigned i, bool *ret_good);
/* audit_gaps.c: did a person put on record that he knows of this gap, all of it? A word counts for what it
 * names, in the chain of the alarm and behind it. ret_word: it; may be NULL */
bool audit_is_acknowledged(const struct audit_reading *r, const struct audit_entry *alarm,
                           const struct audit_gap *gap, const struct audit_entry **ret_word);
/* The gaps of the vault's own chain, each with the word that acknowledges it. */
struct json_object *audit_gaps_json(const struct audit_reading *r);
