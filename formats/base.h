#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text forms of bytes: hex (lower case), base32 (RFC 4648, upper case, unpadded), base64 (padded). */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

#define BASE16_LEN(n) ((n)*2)
#define BASE32_LEN(n) (((n)*8 + 4) / 5)
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* ret: the length above and a zero byte */
void base16_encode(const uint8_t *p, size_t len, char *ret);
void base32_encode(const uint8_t *p, size_t len, char *ret);
void base64_encode(const uint8_t *p, size_t len, char *ret);

/* On failure ret may hold a part, *ret_len is untouched.
 * err: FORMAT (other characters, impossible length, nonzero padding bits), FULL */
MUST_CHECK enum err base16_decode(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len);
/* Any case; spaces, tabs and line breaks are skipped. */
MUST_CHECK enum err base32_decode(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len);
MUST_CHECK enum err base64_decode(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len);
