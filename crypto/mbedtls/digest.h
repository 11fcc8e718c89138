#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of the mbedTLS back end: one digest under way, whatever its algorithm. */

#include "crypto/hash.h"
#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>

#define DIGEST_BLOCK_MAX 128

struct digest {
    enum cr_hash alg;
    union {
        mbedtls_sha1_context sha1;
        mbedtls_sha256_context sha256;
        mbedtls_sha512_context sha512;
    };
};

/* Bytes of one input block of the compression function. */
size_t digest_block(enum cr_hash alg);
/* err: UNSUPPORTED */
MUST_CHECK enum err digest_start(struct digest *d, enum cr_hash alg);
MUST_CHECK enum err digest_update(struct digest *d, const void *p, size_t len);
/* ret: cr_hash_size(alg) bytes */
MUST_CHECK enum err digest_finish(struct digest *d, uint8_t *ret);
/* The two halves of HMAC, each having taken in its padded key. source: RFC 2104 */
MUST_CHECK enum err digest_hmac_start(struct digest *inner, struct digest *outer, enum cr_hash alg,
                                      const void *key, size_t key_len);
