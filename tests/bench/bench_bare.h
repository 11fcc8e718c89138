#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/err.h"
#include <stdint.h>

/* The least that any SQLite store of keys has to write for an escrow record: a row of its size that is found
 * by its device and by its key ID, two places of no order; with the settings of ours and nothing else of it.
 * `batch` rows to a commit, for so many seconds, in a file of its own in the folder.
 * ret_rows, ret_seconds: so many, in that time */
MUST_CHECK enum err bench_bare(const char *dir, double seconds, unsigned batch, uint64_t *ret_rows,
                               double *ret_seconds);
