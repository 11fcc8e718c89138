#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A clock that nobody sets, for waiting. It stands while the computer is suspended. */

#include <stdint.h>
#include <time.h>

static inline int64_t monotonic_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static inline int64_t monotonic_ms(void)
{
    return monotonic_us() / 1000;
}
