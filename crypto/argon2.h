#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Argon2, version 1.3: only to open LUKS2 keyslots of other people; Keyholt makes none. */

#include "crypto/err.h"
#include "crypto/hash.h"
#include <stddef.h>
#include <stdint.h>

enum cr_argon2_type { CR_ARGON2I = 1, CR_ARGON2ID = 2 };

/* More than any LUKS2 slot has: cryptsetup makes none above 4 GiB and 4 lanes. */
#define CR_ARGON2_MEMORY_MAX_KIB (4u << 20)
#define CR_ARGON2_LANES_MAX      64
#define CR_ARGON2_SALT_MIN       8

/* Derive a key. The back end allocates memory_kib KiB, wipes and frees them.
 * time:   passes, at least 1
 * memory: KiB, at least 8 × lanes, at most CR_ARGON2_MEMORY_MAX_KIB
 * lanes:  1 to CR_ARGON2_LANES_MAX; hosted, each is a thread; in firmware they run one after another
 * ret:    ret_len bytes, at least 4
 * err:    NOMEM (the memory cannot be had: says nothing about the password), RANGE (parameters),
 *         UNSUPPORTED (type)
 * cost:   time × memory
 * source: RFC 9106 */
MUST_CHECK enum err cr_argon2(enum cr_argon2_type type, const void *password, size_t password_len,
                              const void *salt, size_t salt_len, uint32_t time, uint32_t memory_kib,
                              uint32_t lanes, uint8_t *ret, size_t ret_len);

/* The same with RFC 9106's secret and associated data: for the RFC's vectors only. */
MUST_CHECK enum err cr_argon2_with(enum cr_argon2_type type, const struct cr_part *password,
                                   const struct cr_part *salt, const struct cr_part *secret,
                                   const struct cr_part *data, uint32_t time, uint32_t memory_kib,
                                   uint32_t lanes, uint8_t *ret, size_t ret_len);
