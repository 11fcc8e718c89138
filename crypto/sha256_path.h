#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of crypto/sha256.c: the ways to compute it. Arguments as in crypto/sha256.h. */

#include "crypto/sha256.h"

/* The round constants. source: FIPS 180-4 section 4.2.2 */
/* Hidden: no loop shall look for it through the global offset table. */
extern const uint32_t sha256_k[64] __attribute__((visibility("hidden")));

void sha256_scalar_compress(uint32_t *state, const uint8_t *blocks, size_t n);
void sha256_scalar_words(uint32_t *state, const uint32_t *blocks, size_t n);

/* Only after sha256_ni_usable() said so. */
bool sha256_ni_usable(void);
void sha256_ni_compress(uint32_t *state, const uint8_t *blocks, size_t n);
void sha256_ni_words(uint32_t *state, const uint32_t *blocks, size_t n);
void sha256_ni_words2(uint32_t *state_a, uint32_t *state_b, const uint32_t *blocks_a,
                      const uint32_t *blocks_b, size_t n);
