#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the vault's passphrase comes from. */

#include "crypto/err.h"
#include "crypto/secret.h"

#define PASSPHRASE_CREDENTIAL "credential:"

/* The vault's passphrase, also a token's PIN: from a file, or from a systemd credential ("credential:NAME", a
 * file in $CREDENTIALS_DIRECTORY). source: empty, or of server.conf. err: NOT_FOUND, and of
 * secret_from_file() */
MUST_CHECK enum err passphrase_load(const char *source, struct secret *ret);
