#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* X25519 key pairs as OpenSSL asks a provider for them. OpenSSL 3.0 makes the public half on the Edwards
 * curve, in portable C, 38 us; its own exchange with the base point, for which it has assembler, is the same
 * and takes 32. source: RFC 7748 section 6.1; docs/architecture.md, What it costs */

#include "crypto/err.h"
#include <openssl/core_dispatch.h>

/* keys, exchange: OpenSSL's functions, kept; provctx: theirs
 * err: UNSUPPORTED (they are not what OpenSSL 3.0 has, or a key made like this is not what theirs would be)
 */
MUST_CHECK enum err tls_x25519_over(const OSSL_DISPATCH *keys, const OSSL_DISPATCH *exchange, void *provctx);
/* Theirs, but for how a pair is made; after tls_x25519_over(). source: provider-keymgmt(7) */
const OSSL_DISPATCH *tls_x25519_functions(void);
