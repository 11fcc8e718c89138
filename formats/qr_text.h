#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The text of the recovery screen's QR: an upper-case address, /R/, and the envelope in base32. */

#include "crypto/err.h"
#include "formats/base.h"
#include "formats/envelope.h"

#define QR_URL_MAX  128
#define QR_TEXT_MAX (QR_URL_MAX + 3 + BASE32_LEN(ENVELOPE_MAX))

/* May this address stand in a QR of alphanumeric mode? Characters 0–9 A–Z $ % * + - . / : only, after
 * upper-casing. err: FORMAT, RANGE (longer than QR_URL_MAX) */
MUST_CHECK enum err qr_text_check_url(const char *url);
/* ret: QR_TEXT_MAX + 1 characters with the zero byte; url may end with a slash. */
MUST_CHECK enum err qr_text_encode(const char *url, const uint8_t *envelope, size_t len,
                                   char ret[static QR_TEXT_MAX + 1]);
/* Any case, spaces and line breaks anywhere, with or without the address in front. */
MUST_CHECK enum err qr_text_decode(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len);
