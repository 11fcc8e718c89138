#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of the OpenSSL back end: an AES cipher of whole blocks under way. */

#include "crypto/aes.h"
#include <openssl/evp.h>

enum aes_mode { AES_ECB = 1, AES_CBC = 2, AES_XTS = 3 };

/* A context with its key taken in, without padding; the caller frees it.
 * iv:  16 bytes; NULL for ECB
 * err: UNSUPPORTED (key length), NOMEM */
MUST_CHECK enum err aes_start(enum cr_dir dir, enum aes_mode mode, const uint8_t *key, size_t key_len,
                              const uint8_t *iv, EVP_CIPHER_CTX **ret);
/* One message, from a new IV where there is one. err: RANGE (longer than OpenSSL's int) */
MUST_CHECK enum err aes_run(EVP_CIPHER_CTX *ctx, const uint8_t *iv, const uint8_t *in, uint8_t *ret,
                            size_t len);
