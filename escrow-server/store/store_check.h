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
    struct store_device device; /* the last one asked for */
};

/* err: of reading; what is wrong is counted in n_wrong */
MUST_CHECK enum err store_check(struct store_check *c);
/* Is this disclosure in the store? */
MUST_CHECK enum err store_check_disclosure(struct store_check *c, const char *chain, uint64_t n, bool *ret);
