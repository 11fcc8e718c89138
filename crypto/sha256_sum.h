#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 of input that comes piece by piece, for what is too large to be held: files. The same code in
 * firmware and in the OS. */

#include "crypto/sha256.h"

struct cr_sha256_sum {
    uint32_t state[CR_SHA256_WORDS];
    uint8_t part[CR_SHA256_BLOCK]; /* of a block that is not complete */
    uint64_t len;                  /* bytes so far */
};

void cr_sha256_sum_init(struct cr_sha256_sum *s);
/* cost: whole blocks are taken from where they lie */
void cr_sha256_sum_add(struct cr_sha256_sum *s, const void *p, size_t len);
/* The digest of all pieces; s is to be initialised before it is used again. source: FIPS 180-4, 5.1.1 */
void cr_sha256_sum_end(struct cr_sha256_sum *s, uint8_t ret[static 32]);
