#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Recovery password: 48 digits in 8 groups, each group 11 × a 16-bit word, BitLocker's format. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <stddef.h>
#include <stdint.h>

#define RP_BYTES  16
#define RP_GROUPS 8
#define RP_DIGITS 48
#define RP_TEXT   55 /* with dashes, no zero byte: exactly the LUKS2 passphrase */

/* The value of one group of six digits, or an error that says what is wrong with it.
 * err: FORMAT (not six digits), RANGE (not 11 × a 16-bit word: a typing error) */
MUST_CHECK enum err rp_group_decode(const char digits[static 6], uint16_t *ret_word);

/* Read 48 digits; spaces, tabs, dashes or nothing around groups, also the dashes and no-break spaces of
 * UTF-8 that word processors put in their place.
 * ret_group: set when the result is not OK: the first wrong group, 1 to 8, or 0 when the number of
 *            digits is wrong
 * ret:       16 bytes, little-endian words, in a secret of length 16; untouched on failure
 * err:       FORMAT (other characters, wrong number of digits), RANGE (a group fails its check) */
MUST_CHECK enum err rp_decode(const char *text, size_t len, struct secret *ret, unsigned *ret_group);

/* Likewise the whole content of a file, as an editor on any system leaves it: blank lines and line ends
 * around the password and a byte order mark before it are left out; UTF-16 with its mark, at most SECRET_MAX
 * bytes, is read, too (Notepad, PowerShell's redirection). */
MUST_CHECK enum err rp_decode_file(const char *text, size_t len, struct secret *ret, unsigned *ret_group);

/* 55 characters with dashes in a secret of length 55. */
void rp_encode(const uint8_t bytes[static RP_BYTES], struct secret *ret);
