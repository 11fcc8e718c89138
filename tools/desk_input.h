#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the desk reads from files and standard input, bounded. */

#include "crypto/err.h"
#include "formats/envelope.h"
#include <stdbool.h>

/* An envelope from a file or standard input ("-").
 * qr:  the input is QR text, not the bytes
 * err: NOT_FOUND, DENIED, IO, FORMAT (no envelope can be in it) */
MUST_CHECK enum err desk_input_envelope(const char *path, bool qr, uint8_t ret[static ENVELOPE_MAX],
                                        size_t *ret_len);

/* A small file that may hold a secret. ret: the caller's, for desk_input_free(), which wipes it */
MUST_CHECK enum err desk_input_file(const char *path, uint8_t **ret, size_t *ret_len);
void desk_input_free(uint8_t *p, size_t len);
