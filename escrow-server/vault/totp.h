#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One-time codes by time: RFC 6238 with HMAC-SHA-1, 30 seconds and 6 digits, as every authenticator app has.
 */

#include "crypto/err.h"
#include <stdbool.h>
#include <stdint.h>

#define TOTP_SECRET    20
#define TOTP_STEP_S    30
#define TOTP_DIGITS    6
#define TOTP_STEPS_OFF 1 /* a code is good so many steps before and behind its own */

/* source: RFC 4226 section 5.3, RFC 6238 section 4 */
MUST_CHECK enum err totp_code(const uint8_t secret[static TOTP_SECRET], uint64_t step,
                              char ret[static TOTP_DIGITS + 1]);
/* Is it the code of now, or of the step before or behind, and later than the last one that was used?
 * err: AUTH (also a code that was used) */
MUST_CHECK enum err totp_check(const uint8_t secret[static TOTP_SECRET], const char *code, uint64_t now,
                               uint64_t last_step, uint64_t *ret_step);
