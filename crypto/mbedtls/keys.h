#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of the mbedTLS back end: AES with its key schedule at hand. mbedtls_aes_free() wipes it. */

#include "crypto/aes.h"
#include <mbedtls/aes.h>

/* err: UNSUPPORTED (key length) */
MUST_CHECK enum err aes_key(mbedtls_aes_context *ctx, enum cr_dir dir, const uint8_t *key, size_t key_len);
/* Whole blocks; in may be ret. */
MUST_CHECK enum err aes_ecb(mbedtls_aes_context *ctx, enum cr_dir dir, const uint8_t *in, uint8_t *ret,
                            size_t len);
MUST_CHECK enum err aes_cbc(mbedtls_aes_context *ctx, enum cr_dir dir, const uint8_t *iv, const uint8_t *in,
                            uint8_t *ret, size_t len);
