#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The public key of a certificate as OpenSSL asks a provider for it: a decoder of SubjectPublicKeyInfo, for
 * P-256 and nothing else. OpenSSL's own parses the structure a second time, and sets up the curve anew, with
 * its modular arithmetic, for each key. source: docs/architecture.md, What it costs */

#include "crypto/err.h"
#include <openssl/core.h>
#include <openssl/core_dispatch.h>

/* in: what OpenSSL offers a provider that starts. err: UNSUPPORTED, NOMEM */
MUST_CHECK enum err tls_spki_over(const OSSL_DISPATCH *in);
/* What it makes is an EC_KEY, for the functions of OpenSSL's own "EC". A point that is not on the curve makes
 * none. source: RFC 5480 section 2; provider-decoder(7) */
extern const OSSL_DISPATCH tls_spki_functions[];
