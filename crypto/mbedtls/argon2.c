/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One thread, and memory from the program's malloc: efi/libc.c's asks the firmware. */
#include "crypto/argon2_run.h"

int argon2_run(argon2_context *context, argon2_type type)
{
    return argon2_ctx(context, type);
}
