/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/bench.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_MAX 101

static struct {
    unsigned rounds, missed;
    bool json;
} run = {.rounds = 11};

static int usage(const char *self)
{
    fprintf(stderr, "usage: %s [--json] [--rounds 1..%d]\n", self, ROUNDS_MAX);
    exit(2);
}

void bench_begin(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            run.json = true;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            run.rounds = (unsigned)strtoul(argv[++i], NULL, 10);
        else
            usage(argv[0]);
    }
    if (run.rounds < 1 || run.rounds > ROUNDS_MAX)
        usage(argv[0]);
    if (!run.json)
        printf("%-46s %14s %14s %7s  %s\n", "", "ours", "peer", "ratio", "figure");
}

static double seconds(const struct bench_side *s)
{
    struct timespec from, to;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    s->run(s->ctx);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof *v, ascending);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* "12.3 ms" or "4567 MB/s" */
static void show(char ret[static 32], double s, double bytes)
{
    if (bytes > 0)
        (void)snprintf(ret, 32, "%.0f MB/s", bytes / s / 1e6);
    else
        (void)snprintf(ret, 32, "%.2f ms", s * 1e3);
}

static void print_line(const char *name, const char *peer, const double s[static 2], double ratio,
                       double bytes, double most)
{
    char a[32], b[32];
    bool ok = most <= 0 || ratio <= most;
    run.missed += !ok;
    if (run.json) {
        printf("{\"name\":\"%s\",\"peer\":\"%s\",\"ours_s\":%.9f,\"peer_s\":%.9f,\"ratio\":%.4f", name, peer,
               s[0], s[1], ratio);
        if (bytes > 0)
            printf(",\"bytes\":%.0f", bytes);
        if (most > 0)
            printf(",\"most\":%.2f,\"reached\":%s", most, ok ? "true" : "false");
        printf("}\n");
        return;
    }
    show(a, s[0], bytes);
    show(b, s[1], bytes);
    printf("%-46s %14s %14s %6.2fx  ", name, a, b, ratio);
    if (most > 0)
        printf("<= %.2fx %s", most, ok ? "reached" : "MISSED");
    printf("%s(peer: %s)\n", most > 0 ? " " : "", peer);
}

void bench_pair(const char *name, const struct bench_side *ours, const struct bench_side *peer, double bytes,
                double most)
{
    const struct bench_side *side[2] = {ours, peer};
    double s[2][ROUNDS_MAX] = {{0}}, ratio[ROUNDS_MAX] = {0};
    (void)seconds(ours); /* caches, page faults, first-time set-up */
    (void)seconds(peer);
    for (unsigned r = 0; r < run.rounds; r++) {
        unsigned first = r % 2;
        s[first][r] = seconds(side[first]);
        s[!first][r] = seconds(side[!first]);
        ratio[r] = s[0][r] / s[1][r];
    }
    const double mid[2] = {median(s[0], run.rounds), median(s[1], run.rounds)};
    print_line(name, peer->name, mid, median(ratio, run.rounds), bytes, most);
    fflush(stdout);
}

void bench_skip(const char *name, const char *why)
{
    if (run.json)
        printf("{\"name\":\"%s\",\"skipped\":\"%s\"}\n", name, why);
    else
        printf("%-46s SKIP: %s\n", name, why);
}

int bench_end(void)
{
    return run.missed ? 1 : 0;
}
