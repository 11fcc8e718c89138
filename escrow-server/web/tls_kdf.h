#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The key schedule of TLS 1.3 as OpenSSL asks a provider for it: "TLS13-KDF". It is asked twenty times in a
 * handshake, and OpenSSL's own looks up hash and HMAC by name, and allocates their contexts, each time; that
 * costs nine times what the hashing does. source: docs/architecture.md, What it costs */

#include "crypto/err.h"
#include <openssl/core.h>
#include <openssl/core_dispatch.h>

/* SHA-256, a digest's length at most, parameters given with the derivation, as libssl does; all else is
 * handed to the other implementation.
 * other: OpenSSL's functions, kept; provctx: theirs
 * err: UNSUPPORTED (they are not what OpenSSL 3.0 has) */
MUST_CHECK enum err tls_kdf_over(const OSSL_DISPATCH *other, void *provctx);
/* source: RFC 8446 section 7.1; provider-kdf(7) */
extern const OSSL_DISPATCH tls_kdf_functions[];
