#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sentence that a person reads when something does not work: the thing, the reason, the next step. It
 * travels beside the error code from where it is known to where it is said. */

#include "crypto/err.h"

#define PROBLEM_MAX 480

struct problem {
    char text[PROBLEM_MAX];
};

/* Keep the sentence and give the error back: `return problem_set(why, ERR_FULL, "…")`. The sentence never
 * holds a secret. */
enum err problem_set(struct problem *why, enum err e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
