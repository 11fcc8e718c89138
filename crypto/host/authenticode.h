#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who signed an EFI program, as firmware asks: a PKCS #7 signature over the program's digest, and
 * certificates that are trusted wherever in the chain they stand, whatever the time is. source: UEFI 2.10
 * section 32.5.3.3; Microsoft, "Windows Authenticode Portable Executable Signature Format" */

#include "crypto/err.h"
#include "crypto/hash.h"
#include <stdbool.h>

/* The SHA-256 digest that the signature is for; not yet checked. signature: DER, cut behind its end or longer
 * err: FORMAT (no PKCS #7 signature over an Authenticode digest), UNSUPPORTED (another hash), NOMEM */
MUST_CHECK enum err authenticode_digest(const void *signature, size_t len,
                                        uint8_t ret[static CR_SHA256_SIZE]);

/* Does the signature verify, with a chain that reaches this certificate (DER)?
 * err: AUTH (no), FORMAT (one of both cannot be read), NOMEM */
MUST_CHECK enum err authenticode_chains_to(const void *signature, size_t len,
                                           const struct cr_part *certificate);

/* Is one of the certificates that the signature brings the one whose signed part has this SHA-256? */
bool authenticode_brings(const void *signature, size_t len, const uint8_t tbs_sha256[static CR_SHA256_SIZE]);
