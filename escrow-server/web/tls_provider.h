#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OpenSSL's default provider without what a handshake of ours cannot need. OpenSSL 3.0 looks through
 * everything that it knows, some hundreds of algorithms and names, whenever a public key is read or used: 130
 * us to read a P-256 certificate; with little to look through it is 25. source: docs/architecture.md, What it
 * costs */

#include "crypto/err.h"
#include <openssl/types.h>

/* Before any other use of OpenSSL in the process: it is not to list the names of all ciphers and digests,
 * which are for EVP_get_cipherbyname() and its like only. err: INTERNAL */
MUST_CHECK enum err tls_provider_begin(void);
/* The library context for TLS; one for the process, never freed. It reads P-256 certificates and no other,
 * shakes hands by X25519 or a curve of NIST's with ECDSA, AES-GCM or ChaCha20, SHA-256 or SHA-384; keys of
 * other kinds come in as EVP_PKEY. err: INTERNAL */
MUST_CHECK enum err tls_provider_open(OSSL_LIB_CTX **ret);
