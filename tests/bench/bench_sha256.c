/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The SHA-256 compression: each path in bulk against OpenSSL, and two chains side by side against one. */
#include "crypto/sha256.h"
#include "tests/bench/bench.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define BULK   (16u << 20)
#define CHAINS 200000u

static uint8_t bulk[BULK];

static void ours_bulk(void *ctx)
{
    uint32_t state[CR_SHA256_WORDS];
    (void)ctx;
    cr_sha256_init(state);
    cr_sha256_compress(state, bulk, BULK / CR_SHA256_BLOCK);
}

static void openssl_bulk(void *ctx)
{
    uint8_t digest[32];
    (void)ctx;
    (void)EVP_Digest(bulk, BULK, digest, NULL, EVP_sha256(), NULL);
}

/* Each block begins with the state before: what a stretch does. */
static void one_chain_twice(void *ctx)
{
    uint32_t block[16] = {0};
    (void)ctx;
    for (unsigned i = 0; i < 2 * CHAINS; i++) {
        uint32_t state[CR_SHA256_WORDS];
        cr_sha256_init(state);
        cr_sha256_words(state, block, 1);
        memcpy(block, state, sizeof state);
    }
}

static void two_chains(void *ctx)
{
    uint32_t block[2][16] = {{0}, {1}};
    (void)ctx;
    for (unsigned i = 0; i < CHAINS; i++) {
        uint32_t state[2][CR_SHA256_WORDS];
        cr_sha256_init(state[0]);
        cr_sha256_init(state[1]);
        cr_sha256_words2(state[0], state[1], block[0], block[1], 1);
        memcpy(block[0], state[0], sizeof state[0]);
        memcpy(block[1], state[1], sizeof state[1]);
    }
}

int main(int argc, char **argv)
{
    const struct bench_side ours = {"ours", ours_bulk, NULL}, openssl = {"OpenSSL", openssl_bulk, NULL};
    const struct bench_side two = {"two", two_chains, NULL},
                            one = {"one chain, twice as long", one_chain_twice, NULL};
    const enum cr_sha256_path best = cr_sha256_path();
    bench_begin(argc, argv);
    for (int p = 1; p <= CR_SHA256_PATHS; p++) {
        const enum cr_sha256_path path = (enum cr_sha256_path)p;
        char name[64];
        (void)snprintf(name, sizeof name, "SHA-256, 16 MiB, %s", cr_sha256_path_name(path));
        if (cr_sha256_force(path) != ERR_OK)
            bench_skip(name, "this processor cannot");
        else /* OpenSSL takes the best there is: only that path has it as its limit */
            bench_pair(name, &ours, &openssl, BULK, path == best ? 1.1 : BENCH_SHOW);
    }
    if (cr_sha256_force(best) == ERR_OK)
        bench_pair("SHA-256, two chains side by side", &two, &one, 2.0 * CHAINS * CR_SHA256_BLOCK,
                   best == CR_SHA256_NI ? 0.75 : BENCH_SHOW);
    return bench_end();
}
