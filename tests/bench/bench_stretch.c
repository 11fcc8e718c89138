/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BitLocker's stretch. The limit is its compressions alone, one behind the other: 2 × 1,048,576. */
#include "crypto/sha256.h"
#include "formats/bitlocker_stretch.h"
#include "tests/bench/bench.h"

#define COMPRESSIONS (2u * 1048576)

static const uint8_t first[32] = {1}, salt[2][BITLOCKER_SALT] = {{2}, {3}};

static void one(void *ctx)
{
    uint8_t key[32];
    (void)ctx;
    bitlocker_stretch(first, salt[0], key);
}

static void two(void *ctx)
{
    uint8_t key[2][32];
    (void)ctx;
    bitlocker_stretch2(first, salt[0], salt[1], key[0], key[1]);
}

static void bare(void *ctx)
{
    static const uint32_t blocks[16 * 1024];
    uint32_t state[CR_SHA256_WORDS];
    (void)ctx;
    cr_sha256_init(state);
    for (unsigned i = 0; i < COMPRESSIONS / 1024; i++)
        cr_sha256_words(state, blocks, 1024);
}

int main(int argc, char **argv)
{
    const struct bench_side limit = {"2 x 1,048,576 bare compressions", bare, NULL};
    bench_begin(argc, argv);
    bench_pair("BitLocker stretch, one protector", &(struct bench_side){"ours", one, NULL}, &limit, 0, 1.3);
    bench_pair("BitLocker stretch, two side by side", &(struct bench_side){"ours", two, NULL}, &limit, 0,
               BENCH_SHOW);
    return bench_end();
}
