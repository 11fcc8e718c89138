#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of crypto/argon2.c: both worlds have the same library, hosted as libargon2, in firmware as the
 * reference code; where memory and threads come from is the back end's. */

#include <argon2.h>

/* argon2_ctx() with the back end's memory and threads. Returns the library's code. */
int argon2_run(argon2_context *context, argon2_type type);
