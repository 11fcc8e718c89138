/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs a fuzz target on a bounded number of mutated seeds, the same ones every time. The sanitizers are the
 * judge: they end the program. FUZZ_RUNS=N for another number, FUZZ_START=N to begin elsewhere;
 * FUZZ_SEEDS=DIR writes the seeds there instead, for libFuzzer. */
#include "tests/fuzz/fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX 12288

static uint64_t state;

/* xorshift64*; any numbers do, as long as they are the same on every machine */
static uint32_t pick(uint32_t n)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * UINT64_C(2685821657736338717) >> 32) % n;
}

static uint32_t count(const char *const *list)
{
    uint32_t n = 0;
    while (list[n] != NULL)
        n++;
    return n;
}

/* Replace cut bytes at off by n bytes. */
static size_t splice(uint8_t *p, size_t len, size_t off, size_t cut, const void *with, size_t n)
{
    cut = cut < len - off ? cut : len - off;
    if (len - cut + n > MAX)
        return len;
    uint8_t copy[MAX];
    memcpy(copy, with, n);
    memmove(p + off + n, p + off + cut, len - off - cut);
    memcpy(p + off, copy, n);
    return len - cut + n;
}

static size_t mutate(uint8_t *p, size_t len)
{
    if (len == 0)
        return splice(p, 0, 0, 0, "{", 1);
    size_t off = pick((uint32_t)len), n = pick(24);
    const char *word = fuzz_words[pick(count(fuzz_words))];
    switch (pick(6)) {
    case 0:
        p[off] = (uint8_t)(p[off] ^ 1u << pick(8));
        return len;
    case 1:
        return splice(p, len, off, n, "", 0);
    case 2:
        return splice(p, len, off, 0, word, strlen(word));
    case 3:
        return splice(p, len, off, strlen(word), word, strlen(word));
    case 4: {
        size_t from = pick((uint32_t)len);
        return splice(p, len, off, 0, p + from, n < len - from ? n : len - from);
    }
    default:
        p[off] = (uint8_t) "{}[]\",:0123456789\\ -"[pick(20)];
        return len;
    }
}

static long setting(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtol(text, NULL, 10);
}

/* For libFuzzer to start from. */
static int write_seeds(const char *dir)
{
    char path[4096];
    for (uint32_t i = 0; i < count(fuzz_seeds); i++) {
        (void)snprintf(path, sizeof path, "%s/seed-%u", dir, i);
        FILE *f = fopen(path, "wbe");
        if (f == NULL || fputs(fuzz_seeds[i], f) < 0 || fclose(f) != 0)
            return 1;
    }
    return 0;
}

int main(void)
{
    if (getenv("FUZZ_SEEDS") != NULL)
        return write_seeds(getenv("FUZZ_SEEDS"));
    static uint8_t input[MAX];
    long start = setting("FUZZ_START", 0), runs = setting("FUZZ_RUNS", 3000), taken = 0;
    for (long i = start; i < start + runs; i++) {
        state = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) + 1;
        const char *seed = fuzz_seeds[pick(count(fuzz_seeds))];
        size_t len = strlen(seed) < MAX ? strlen(seed) : MAX;
        memcpy(input, seed, len);
        for (uint32_t n = i == start ? 0 : 1 + pick(4); n > 0; n--)
            len = mutate(input, len);
        /* an exact copy on the heap, so that one byte too far is seen */
        uint8_t *exact = malloc(len > 0 ? len : 1);
        if (exact == NULL)
            abort();
        memcpy(exact, input, len);
        taken += LLVMFuzzerTestOneInput(exact, len) == 0;
        free(exact);
    }
    /* one test, however many inputs: the sum of all programs shall mean something */
    printf("%ld of %ld inputs taken\n%d passed, %d failed\n", taken, runs, taken == runs, taken != runs);
    return taken == runs && runs > 0 ? 0 : 1;
}
