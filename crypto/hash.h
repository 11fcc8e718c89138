#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-1 (only for old LUKS slots), SHA-256, SHA-512, and what is built from them: HMAC, HKDF, PBKDF2.
 * One back end is linked: crypto/openssl/ (hosted) or crypto/mbedtls/ (EFI). */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

enum cr_hash { CR_SHA1 = 1, CR_SHA256 = 2, CR_SHA512 = 3 };

#define CR_HASH_MAX    64
#define CR_SHA256_SIZE 32

/* One piece of input; several are hashed as if they were one. */
struct cr_part {
    const void *p; /* borrowed */
    size_t len;
};

/* Digest size in bytes, 0 for an unknown algorithm. */
size_t cr_hash_size(enum cr_hash alg);

/* Hash n parts.
 * ret: cr_hash_size(alg) bytes
 * err: UNSUPPORTED */
MUST_CHECK enum err cr_hash_parts(enum cr_hash alg, const struct cr_part *parts, size_t n, uint8_t *ret);
/* SHA-256 of one range; cannot fail but for a broken back end (INTERNAL). */
MUST_CHECK enum err cr_sha256(const void *p, size_t len, uint8_t ret[static CR_SHA256_SIZE]);

/* HMAC over n parts. source: RFC 2104 */
MUST_CHECK enum err cr_hmac(enum cr_hash alg, const void *key, size_t key_len, const struct cr_part *parts,
                            size_t n, uint8_t *ret);

/* HKDF. source: RFC 5869
 * ret_prk: cr_hash_size(alg) bytes; okm_len at most 255 times that (RANGE) */
MUST_CHECK enum err cr_hkdf_extract(enum cr_hash alg, const void *salt, size_t salt_len,
                                    const struct cr_part *ikm, size_t n, uint8_t *ret_prk);
MUST_CHECK enum err cr_hkdf_expand(enum cr_hash alg, const uint8_t *prk, const struct cr_part *info, size_t n,
                                   uint8_t *ret_okm, size_t okm_len);

/* PBKDF2-HMAC. source: RFC 8018
 * cost: iterations × two compressions for each digest-sized block of output
 * err:  RANGE for zero iterations, UNSUPPORTED */
MUST_CHECK enum err cr_pbkdf2(enum cr_hash alg, const void *password, size_t password_len, const void *salt,
                              size_t salt_len, uint32_t iterations, uint8_t *ret, size_t ret_len);
