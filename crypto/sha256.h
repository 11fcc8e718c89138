#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256's compression function on its bare state, for the loops that people wait for: BitLocker's stretch
 * and PBKDF2. The same code in firmware and in the OS; which instructions it uses is asked of the processor
 * at run time. Ordinary hashing is crypto/hash.h. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CR_SHA256_BLOCK 64 /* bytes; 16 words */
#define CR_SHA256_WORDS 8  /* of a state */

/* The initial state H(0). source: FIPS 180-4 section 5.3.3 */
void cr_sha256_init(uint32_t ret_state[static CR_SHA256_WORDS]);

/* Take n blocks of 64 bytes into a state; padding is the caller's. Time depends on n only.
 * state:  eight words in the processor's byte order
 * source: FIPS 180-4 section 6.2.2 */
void cr_sha256_compress(uint32_t state[static CR_SHA256_WORDS], const uint8_t *blocks, size_t n);

/* The same with blocks of sixteen words in the processor's byte order: a chain of digests then never turns a
 * byte, because a state is the first half of its next block as it stands. */
void cr_sha256_words(uint32_t state[static CR_SHA256_WORDS], const uint32_t *blocks, size_t n);

/* Two independent chains side by side, n blocks of each. With SHA-NI, where each step waits for the one
 * before, the second comes nearly free; without, it is two calls. The two states must be different ones. */
void cr_sha256_words2(uint32_t state_a[static CR_SHA256_WORDS], uint32_t state_b[static CR_SHA256_WORDS],
                      const uint32_t *blocks_a, const uint32_t *blocks_b, size_t n);

/* A state as the 32 bytes of a digest. */
void cr_sha256_store(const uint32_t state[static CR_SHA256_WORDS], uint8_t ret[static 32]);

/* The ways there are to compute it, for tests and the bench. */
enum cr_sha256_path { CR_SHA256_SCALAR = 1, CR_SHA256_NI = 2 };
#define CR_SHA256_PATHS 2

/* "scalar", "sha-ni"; never NULL. */
const char *cr_sha256_path_name(enum cr_sha256_path path);
/* Can this processor do it? */
bool cr_sha256_path_usable(enum cr_sha256_path path);
/* The one in use; the best usable one unless a test chose. */
enum cr_sha256_path cr_sha256_path(void);
/* Use this one from now on in the whole process. err: UNSUPPORTED (not usable here) */
MUST_CHECK enum err cr_sha256_force(enum cr_sha256_path path);
