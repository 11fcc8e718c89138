/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PBKDF2-HMAC-SHA256 as a LUKS2 keyslot (64 bytes of key) and its digest (32 bytes) need it. cryptsetup runs
 * OpenSSL's. */
#include "crypto/hash.h"
#include "tests/bench/bench.h"
#include <openssl/evp.h>

#define ITERATIONS 100000
#define PASSWORD   "042647-302313-590458-071500-554323-116567-412181-516978"

static const uint8_t salt[32] = {1, 2, 3};
static uint8_t key[64];

static void ours(void *len)
{
    if (cr_pbkdf2(CR_SHA256, PASSWORD, sizeof PASSWORD - 1, salt, sizeof salt, ITERATIONS, key,
                  *(const size_t *)len) != ERR_OK)
        key[0] = 0;
}

static void openssl(void *len)
{
    (void)PKCS5_PBKDF2_HMAC(PASSWORD, sizeof PASSWORD - 1, salt, sizeof salt, ITERATIONS, EVP_sha256(),
                            (int)*(const size_t *)len, key);
}

int main(int argc, char **argv)
{
    size_t digest = 32, keyslot = 64;
    bench_begin(argc, argv);
    bench_pair("PBKDF2-SHA256, 100,000, 64 bytes (keyslot)", &(struct bench_side){"ours", ours, &keyslot},
               &(struct bench_side){"OpenSSL", openssl, &keyslot}, 0, 1.1);
    bench_pair("PBKDF2-SHA256, 100,000, 32 bytes (digest)", &(struct bench_side){"ours", ours, &digest},
               &(struct bench_side){"OpenSSL", openssl, &digest}, 0, 1.1);
    return bench_end();
}
