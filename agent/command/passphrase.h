#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A passphrase from the person at the terminal, without showing it. */

#include "crypto/err.h"
#include "crypto/secret.h"

/* err: NOT_FOUND (no terminal), FORMAT (empty), RANGE (too long), IO */
MUST_CHECK enum err passphrase_ask(const char *prompt, struct secret *ret);
