#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From what a person types to the key that seals the volume master key, for the reader's own files.
 * source: docs/formats.md#bitlocker-stretch */

#include "formats/bitlocker_format.h"

/* The first digest. err: RANGE (longer than SECRET_MAX, not UTF-8) */
MUST_CHECK enum err bitlocker_first_recovery(const uint8_t password[static RP_BYTES], uint8_t ret[static 32]);
MUST_CHECK enum err bitlocker_first_passphrase(const char *text, size_t len, uint8_t ret[static 32]);

/* The key that belongs to a first digest and the salt of a protector.
 * cost: 2 × 1,048,576 compressions */
void bitlocker_stretch(const uint8_t first[static 32], const uint8_t salt[static BITLOCKER_SALT],
                       uint8_t ret[static 32]);
/* The same for two salts side by side. cost: where SHA-NI is, hardly more than for one */
void bitlocker_stretch2(const uint8_t first[static 32], const uint8_t salt_a[static BITLOCKER_SALT],
                        const uint8_t salt_b[static BITLOCKER_SALT], uint8_t ret_a[static 32],
                        uint8_t ret_b[static 32]);
