#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What may be known about a secret: a verdict that is told anyway, the shape of a typed text. Code that has
 * secrets in its hands branches only on what was revealed here; the constant-time check
 * (tests/constant_time/) runs it with its secrets marked, and a branch or an address that depends on one
 * without this line is an error. Elsewhere the line costs nothing. */

#include <stddef.h>

#ifdef KEYHOLT_CONSTANT_TIME
#include <valgrind/memcheck.h>
#endif

static inline void cr_reveal(const void *p, size_t len)
{
#ifdef KEYHOLT_CONSTANT_TIME
    (void)VALGRIND_MAKE_MEM_DEFINED(p, len);
#else
    (void)p;
    (void)len;
#endif
}
