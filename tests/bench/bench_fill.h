#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A SQLite recovery store with many devices and keys, in minutes instead of hours: nothing is durable until
 * the end, indexes are made afterwards. The envelopes open with no key; they are as long as real ones and
 * decode. */

#include "crypto/err.h"
#include <stdint.h>

/* dir: where recovery.db has its schema already.
 * err: IO. cost: about 50,000 keys a second, 1.6 KB each */
MUST_CHECK enum err bench_fill(const char *dir, uint64_t devices, uint64_t keys);
