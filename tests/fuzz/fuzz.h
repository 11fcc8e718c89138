#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a fuzz target offers: libFuzzer's entry, and seeds for the driver that `make unit` runs
 * (tests/fuzz/driver.c), which mutates them in the same way every time. */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Zero-terminated list of texts to start from, and of words worth inserting. */
extern const char *const fuzz_seeds[];
extern const char *const fuzz_words[];
