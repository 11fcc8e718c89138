#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of a P-256 private key; only for the OpenSSL back end. */

#include "crypto/p256.h"
#include <openssl/evp.h>

struct cr_p256_key {
    EVP_PKEY *pkey; /* built from scalar and matching point; NULL when the scalar is outside */
    struct cr_p256_pub pub;
    struct cr_p256_outside outside;
};

/* An EVP_PKEY from a public point, and the private scalar where there is one (NULL: none).
 * err: FORMAT (not on the curve) */
MUST_CHECK enum err p256_pkey(const struct cr_p256_pub *pub, const BIGNUM *scalar, EVP_PKEY **ret);
/* The same of a public point alone, checked, with no more work than that takes: a copy of one made before.
 * cost: 6 us, of which p256_pkey() would take 22. err: FORMAT (not on the curve), NOMEM */
MUST_CHECK enum err p256_public_pkey(const struct cr_p256_pub *pub, EVP_PKEY **ret);
/* The private scalar, 32 bytes big-endian. err: FORMAT (not a P-256 private key) */
MUST_CHECK enum err p256_scalar(const EVP_PKEY *pkey, uint8_t ret[static CR_P256_SCALAR]);
