#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times as people read them here: 2026-01-31T09:30:00Z. JSON has seconds. */

#include <stdint.h>

#define UTC_FORM "%Y-%m-%dT%H:%M:%SZ" /* of strftime(3) and strptime(3) */
#define UTC_TEXT 32

/* Returns ret; "-" for 0, which is never. */
const char *utc_text(uint64_t seconds, char ret[static UTC_TEXT]);
