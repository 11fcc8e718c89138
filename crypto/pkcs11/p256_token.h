#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A P-256 private key that stays in a PKCS#11 token; only Diffie-Hellman is asked of it, which is all that
 * opening an envelope needs. Hosted; talks to the token through p11-kit. */

#include "crypto/p256.h"

#define CR_TOKEN_URI 1024

/* Open the token, log in and find the key. Everything that opens a file or makes a socket happens here.
 * uri: RFC 7512; must fit one private key. module-path names the module (by itself, in p11-kit's folder);
 * without it the modules that p11-kit is configured with are asked, or the one of them that module-name names
 * pin: of the user err: FORMAT (the URI, or a key that is not P-256),
 * NOT_FOUND (module, token or key), CONFLICT (several keys fit), AUTH (PIN), OFFLINE (the module or the token
 * does not answer), NOMEM cr_p256_ecdh() with such a key: also OFFLINE; cr_p256_sign() and cr_p256_to_pem():
 * UNSUPPORTED source: PKCS #11 v2.40, C_DeriveKey with CKM_ECDH1_DERIVE */
MUST_CHECK enum err cr_p256_token_open(const char *uri, const struct secret *pin, struct cr_p256_key **ret);
