#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OpenSSL's default provider without what a client certificate cannot need. OpenSSL 3.0 asks every decoder
 * and every kind of key that it knows, some dozens, whenever a public key is read: 130 us for a P-256
 * certificate; with one decoder it is 30. source: docs/architecture.md, What it costs */

#include "crypto/err.h"
#include <openssl/types.h>

/* The library context for TLS; one for the process, never freed. It reads P-256 certificates and no other;
 * keys of other kinds come in as EVP_PKEY. Its provider hands everything else on to the default one. err:
 * INTERNAL */
MUST_CHECK enum err tls_provider_open(OSSL_LIB_CTX **ret);
