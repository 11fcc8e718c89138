#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GUIDs as BitLocker stores them: 16 bytes, the first three fields little-endian. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GUID_TEXT 37 /* 36 characters and a zero byte */

struct guid {
    uint8_t bytes[16];
};

/* Upper case, without braces. */
void guid_encode(const struct guid *g, char ret[static GUID_TEXT]);
/* Lower case: a LUKS2 UUID as libcryptsetup and sysfs write it. */
void guid_encode_lower(const struct guid *g, char ret[static GUID_TEXT]);
/* Any case, with or without braces. err: FORMAT */
MUST_CHECK enum err guid_decode(const char *text, size_t len, struct guid *ret);
/* Make 16 random bytes a version-4 GUID. */
void guid_from_random(const uint8_t random[static 16], struct guid *ret);
bool guid_equal(const struct guid *a, const struct guid *b);
/* What people read to the help desk: the first 8 hex digits, upper case. */
void guid_short(const struct guid *g, char ret[static 9]);
