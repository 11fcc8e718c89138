/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Times one primitive and prints the seconds: for tests/bench/bench.py, which alternates such runs.
 *   bench_primitives sha256 scalar|best|openssl   256 MiB through the compression function
 *   bench_primitives stretch bare                 2 × 1,048,576 chained compressions, nothing else
 *   bench_primitives pbkdf2 ours|openssl          100,000 iterations, 64 bytes */
#include "crypto/hash.h"
#include "crypto/sha256.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHUNK      (1u << 20)
#define CHUNKS     256
#define ROUNDS     1048576
#define ITERATIONS 100000

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int sha256_openssl(const uint8_t *chunk)
{
    uint8_t digest[32];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL);
    for (int i = 0; ok && i < CHUNKS; i++)
        ok = EVP_DigestUpdate(ctx, chunk, CHUNK);
    ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL);
    EVP_MD_CTX_free(ctx);
    return ok;
}

static int sha256(const char *how)
{
    static uint8_t chunk[CHUNK];
    uint32_t state[CR_SHA256_WORDS];
    if (strcmp(how, "openssl") == 0)
        return sha256_openssl(chunk);
    if (strcmp(how, "scalar") == 0 && cr_sha256_force(CR_SHA256_SCALAR) != ERR_OK)
        return 0;
    cr_sha256_init(state);
    for (int i = 0; i < CHUNKS; i++)
        cr_sha256_compress(state, chunk, CHUNK / CR_SHA256_BLOCK);
    return 1;
}

/* Each compression waits for the one before, as in the real stretch. */
static int stretch(const char *how)
{
    uint8_t block[CR_SHA256_BLOCK] = {0};
    uint32_t state[CR_SHA256_WORDS];
    cr_sha256_init(state);
    for (int i = 0; i < 2 * ROUNDS; i++)
        cr_sha256_compress(state, block, 1);
    return strcmp(how, "bare") == 0;
}

static int pbkdf2(const char *how)
{
    static const char password[] = "correct horse battery staple";
    uint8_t salt[32] = {1}, out[64];
    if (strcmp(how, "openssl") == 0)
        return PKCS5_PBKDF2_HMAC(password, sizeof password - 1, salt, sizeof salt, ITERATIONS, EVP_sha256(),
                                 sizeof out, out);
    return cr_pbkdf2(CR_SHA256, password, sizeof password - 1, salt, sizeof salt, ITERATIONS, out,
                     sizeof out) == ERR_OK;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(const char *how);
    } all[] = {{"sha256", sha256}, {"stretch", stretch}, {"pbkdf2", pbkdf2}};
    for (size_t i = 0; argc == 3 && i < sizeof all / sizeof *all; i++)
        if (strcmp(argv[1], all[i].name) == 0) {
            double start = now_s();
            if (!all[i].run(argv[2]))
                return 1;
            printf("%.6f\n", now_s() - start);
            return 0;
        }
    return 2;
}
