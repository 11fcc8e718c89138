#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is what the stores hold what it should be? Every record is decoded and its signature verified, every
 * envelope decoded, every index row compared with the bytes it was made from, every order's signature
 * verified. Nothing is changed. */

#include "escrow-server/store/store_rows.h"
#include "formats/org.h"

struct store_check {
    struct store *store;   /* borrowed */
    const struct org *org; /* borrowed */
    /* Called for each thing that is wrong: a sentence, and the hash or ID that it is about, hex. */
    void (*say)(const char *what, const char *id);
    uint64_t n_records, n_envelopes, n_devices, n_orders, n_wrong;
    uint64_t n_receipts, n_receipted; /* receipts, and records that they name */
    uint64_t n_too_old;               /* of those: not there; reports that retention took, or lost keys */
    struct store_device device;       /* the last one asked for */
    uint64_t cutoff_us;               /* retention took reports of before then */
};

/* err: of reading; what is wrong is counted in n_wrong */
MUST_CHECK enum err store_check(struct store_check *c);
/* Before the first receipt, all of which are checked before the rest. err: of reading */
MUST_CHECK enum err store_check_receipts(struct store_check *c);

/* Records that are known to be no reports, whose names may be in a receipt. */
struct store_kept {
    const uint8_t (*name)[32];
    unsigned n;
};
/* Is every record that this receipt names in the store? Reports go by retention, and a receipt does not say
 * what its records are: of what is neither kept nor there, one from before what retention took proves
 * nothing. err: AUTH (no receipt key of this organisation signed it), FORMAT, VERSION, TRUNCATED; other ones
 * of reading
 */
MUST_CHECK enum err store_check_receipt(struct store_check *c, const uint8_t *p, size_t len,
                                        const struct store_kept *kept);
/* Is this disclosure in the store? */
MUST_CHECK enum err store_check_disclosure(struct store_check *c, const char *chain, uint64_t n, bool *ret);
