/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both back ends in one process, on random input: whatever one gives, the other gives. The mbedTLS one has
 * its symbols renamed by objcopy (crypto/module.mk). KEYHOLT_SEED repeats a run. */
#include "crypto/aes.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 300

enum err efi_cr_hash_parts(enum cr_hash alg, const struct cr_part *parts, size_t n, uint8_t *ret);
enum err efi_cr_hmac(enum cr_hash alg, const void *key, size_t key_len, const struct cr_part *parts, size_t n,
                     uint8_t *ret);
enum err efi_cr_hkdf_expand(enum cr_hash alg, const uint8_t *prk, const struct cr_part *info, size_t n,
                            uint8_t *ret, size_t len);
enum err efi_cr_pbkdf2(enum cr_hash alg, const void *password, size_t password_len, const void *salt,
                       size_t salt_len, uint32_t iterations, uint8_t *ret, size_t ret_len);
enum err efi_cr_xts_sectors(enum cr_dir dir, const uint8_t *key, size_t key_len, uint64_t sector,
                            size_t sector_size, uint8_t *buf, size_t len);
enum err efi_cr_xts_unit(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t tweak[static 16],
                         const uint8_t *in, uint8_t *ret, size_t len);

static uint64_t seed;

/* xorshift64: repeatable, which is all that is asked of it here */
static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static size_t below(size_t n)
{
    return (size_t)(next() % n);
}

static enum cr_hash any_hash(void)
{
    return (enum cr_hash)(below(5)); /* 0 and 4 are unknown */
}

static uint8_t in[16384], a[16384], b[16384];

static void fill(void)
{
    for (size_t i = 0; i + 8 <= sizeof in; i += 8) {
        uint64_t v = next();
        memcpy(in + i, &v, 8);
    }
    memset(a, 0x5a, sizeof a);
    memset(b, 0x5a, sizeof b);
}

/* Same result, and same bytes in the whole output buffer, so an overrun shows too. */
static void agree(const char *what, unsigned round, enum err x, enum err y)
{
    if (x != y || memcmp(a, b, sizeof a) != 0)
        fail_msg("%s, round %u: OpenSSL says %s, mbedTLS %s%s", what, round, err_name(x), err_name(y),
                 x == y ? ", with other bytes" : "");
}

static void test_hash(void **state)
{
    (void)state;
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill();
        const struct cr_part parts[] = {{in, below(300)}, {in + 300, below(300)}, {in + 600, below(5)}};
        enum cr_hash alg = any_hash();
        size_t key_len = below(300), okm_len = below(700);
        agree("hash", r, cr_hash_parts(alg, parts, 3, a), efi_cr_hash_parts(alg, parts, 3, b));
        agree("hmac", r, cr_hmac(alg, in + 1000, key_len, parts, 3, a),
              efi_cr_hmac(alg, in + 1000, key_len, parts, 3, b));
        agree("hkdf", r, cr_hkdf_expand(alg, in + 2000, parts, 3, a, okm_len),
              efi_cr_hkdf_expand(alg, in + 2000, parts, 3, b, okm_len));
    }
}

static void test_pbkdf2(void **state)
{
    (void)state;
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill();
        enum cr_hash alg = any_hash();
        size_t password = below(200), salt = below(100), len = below(150);
        uint32_t iterations = (uint32_t)below(40);
        agree("pbkdf2", r, cr_pbkdf2(alg, in, password, in + 500, salt, iterations, a, len),
              efi_cr_pbkdf2(alg, in, password, in + 500, salt, iterations, b, len));
    }
}

static void test_xts(void **state)
{
    (void)state;
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill();
        enum cr_dir dir = below(2) ? CR_ENCRYPT : CR_DECRYPT;
        size_t key_len = below(2) ? 64 : 32, size = (size_t)256 << below(6), len = size * below(4);
        const uint64_t sector = next() >> below(64);
        size_t unit = size - below(256);
        agree("xts unit", r, cr_xts_unit(dir, in, key_len, in + 64, in + 128, a, unit),
              efi_cr_xts_unit(dir, in, key_len, in + 64, in + 128, b, unit));
        memcpy(a, in, sizeof a);
        memcpy(b, in, sizeof b);
        agree("xts sectors", r, cr_xts_sectors(dir, in, key_len, sector, size, a, len),
              efi_cr_xts_sectors(dir, in, key_len, sector, size, b, len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_pbkdf2),
        cmocka_unit_test(test_xts),
    };
    const char *given = getenv("KEYHOLT_SEED");
    if (given)
        seed = strtoull(given, NULL, 0);
    else if (cr_random(&seed, sizeof seed) != ERR_OK)
        return 1;
    seed |= 1; /* xorshift stays at zero */
    print_message("KEYHOLT_SEED=%#llx\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
