/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/problem.h"
#include <stdarg.h>
#include <stdio.h>

enum err problem_set(struct problem *why, enum err e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
    return e;
}
