#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HMAC as libssl asks a provider for it: over one transcript hash, for each Finished as a MAC, for the binder
 * of a session that is resumed as a key that signs. OpenSSL's own looks up HMAC and hash by name in
 * everything that there is and allocates five contexts each time, for four blocks of hashing. source:
 * docs/architecture.md, What it costs */

#include <openssl/core_dispatch.h>

/* All of them: keys and texts up to TLS_HMAC_MAX bytes, SHA-256 or SHA-384; what is longer, or another hash,
 * is refused. source: RFC 8446 sections 4.2.11.2 and 4.4.4; provider-mac(7), -keymgmt(7), -signature(7) */
#define TLS_HMAC_MAX 64
extern const OSSL_DISPATCH tls_hmac_functions[], tls_hmac_key_functions[], tls_hmac_sign_functions[];
