#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LUKS1: only its header, so that a volume can be named and reported. It has no place for a sealed password.
 * source: LUKS1 On-Disk Format Specification 1.2.3 */

#include "crypto/err.h"
#include "formats/guid.h"
#include <stddef.h>
#include <stdint.h>

#define LUKS1_HEADER 592 /* bytes */
#define LUKS1_SLOTS  8
#define LUKS1_TEXT   33

struct luks1 {
    char cipher[LUKS1_TEXT], mode[LUKS1_TEXT], hash[LUKS1_TEXT]; /* printable */
    uint32_t key_bytes;
    unsigned slots; /* in use */
    struct guid uuid;
};

/* in: the first bytes of the volume. err: NOT_FOUND (not LUKS), VERSION (LUKS2), TRUNCATED, FORMAT */
MUST_CHECK enum err luks1_decode(const uint8_t *in, size_t len, struct luks1 *ret);
