#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a device signs to enrol. Layout: docs/formats.md, Enrolment. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

#define ENROLL_TEXT_LEN (18 + 32 + 32 + 8)

/* token: SHA-256 of its text; csr: PEM */
MUST_CHECK enum err enroll_text(const uint8_t token[static 32], const uint8_t *csr, size_t csr_len,
                                uint64_t time, uint8_t ret[static ENROLL_TEXT_LEN]);
