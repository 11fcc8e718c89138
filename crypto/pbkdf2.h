#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of cr_pbkdf2() (crypto/hash.h): what a back end does, for every hash but SHA-256. */

#include "crypto/hash.h"

/* Sizes and algorithm are checked by the caller. */
MUST_CHECK enum err pbkdf2_library(enum cr_hash alg, const struct cr_part *password,
                                   const struct cr_part *salt, uint32_t iterations, uint8_t *ret, size_t len);
