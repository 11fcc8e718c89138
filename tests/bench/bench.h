#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measuring: a figure of ours is always a ratio to a peer or a limit, taken in the same run.
 *
 * One program per topic, tests/bench/bench_TOPIC.c: bench_begin(), a bench_pair() for each line, bench_end().
 * Both sides run in turns, each going first in every second round, so that what else the machine does meets
 * both. Shown are the medians of both and the median of the rounds' ratios.
 * usage: build/tests/bench_TOPIC [--json] [--rounds N]     tests/bench/bench.py runs all of them */

#include <stddef.h>

/* One way to do a piece of work; some milliseconds at least, or the clock is all that is measured. */
struct bench_side {
    const char *name;
    void (*run)(void *ctx);
    void *ctx;
};

/* Nothing to reach: the line is shown only. */
#define BENCH_SHOW 0.0

/* Read the arguments; exits with 2 on others. */
void bench_begin(int argc, char **argv);
/* Time two sides, print the line.
 * bytes: that each side works on, for MB/s; 0: milliseconds are shown
 * most:  figure to reach, ours / peer in time at most; BENCH_SHOW: none */
void bench_pair(const char *name, const struct bench_side *ours, const struct bench_side *peer, double bytes,
                double most);
/* Say what cannot be measured here, and why. */
void bench_skip(const char *name, const char *why);
/* Exit code: 1 when a figure was missed. */
int bench_end(void);
