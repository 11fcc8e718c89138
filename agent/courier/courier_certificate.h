#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the keeper checks of the courier's TLS certificate before it believes that a server enrolled this
 * device. Times do not count: a device's clock may be wrong by years. */

#include "crypto/err.h"
#include "crypto/hash.h"
#include <stddef.h>
#include <stdint.h>

/* SHA-256 of the public key (DER SubjectPublicKeyInfo) of a certificate request in PEM, when the request is
 * signed by that key. err: FORMAT, AUTH */
MUST_CHECK enum err courier_csr_key(const uint8_t *pem, size_t len, uint8_t ret[static CR_SHA256_SIZE]);

/* Is it a client certificate of this CA, for this device (CN: its ID in hex), with this public key?
 * ca: PEM text; key: 32 bytes, NULL when it is not known
 * err: FORMAT (not a certificate), AUTH (of another CA), CONFLICT (another device or key), NOMEM */
MUST_CHECK enum err courier_certificate_check(const uint8_t *pem, size_t len, const char *ca,
                                              const uint8_t device[static 32], const uint8_t *key);
