#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HMAC-SHA256 on the bare compression function, for who makes dozens of short ones in a row: asking OpenSSL
 * for it costs ten times what the hash does. The same code in firmware and in the OS. Else: cr_hmac(). */

#include "crypto/hash.h"
#include "crypto/sha256.h"

/* n parts as if they were one. Time depends on the lengths only.
 * cost:   four compressions for a key of at most 64 bytes and up to 55 bytes of parts
 * source: RFC 2104 */
void cr_sha256_hmac(const void *key, size_t key_len, const struct cr_part *parts, size_t n,
                    uint8_t ret[static CR_SHA256_SIZE]);
