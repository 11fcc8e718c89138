#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers as a person lists them: "3", "3-7", "1,4,9-12". */

#include "crypto/err.h"
#include <stdint.h>

/* Take each number or range in turn; a single number is a range of itself. from may be above to: whoever
 * takes it judges. err: FORMAT (another text, or an empty one), and what take says */
MUST_CHECK enum err number_list_read(const char *text,
                                     enum err (*take)(void *ctx, uint64_t from, uint64_t to), void *ctx);
