/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both back ends in one process, on random input: whatever one gives, the other gives. The mbedTLS one has
 * its symbols renamed by objcopy (crypto/module.mk). KEYHOLT_SEED repeats a run. */
#include "crypto/aes.h"
#include "crypto/argon2.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/sectors.h"
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
enum err efi_cr_xts_unit(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t tweak[static 16],
                         const uint8_t *in, uint8_t *ret, size_t len);
enum err efi_cr_ecb(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t *in, uint8_t *ret,
                    size_t len);
enum err efi_cr_cbc(enum cr_dir dir, const uint8_t *key, size_t key_len,
                    const uint8_t iv[static CR_AES_BLOCK], const uint8_t *in, uint8_t *ret, size_t len);
enum err efi_cr_ccm_open(const uint8_t *key, size_t key_len, const uint8_t nonce[static CR_CCM_NONCE],
                         const void *aad, size_t aad_len, const void *ct, size_t len,
                         const uint8_t tag[static CR_CCM_TAG], uint8_t *ret_pt);
enum err efi_cr_sectors_init(struct cr_sectors *s, enum cr_sectors_mode mode, const uint8_t *key,
                             size_t key_len, size_t sector_size, size_t iv_unit);
enum err efi_cr_sectors_crypt(struct cr_sectors *s, enum cr_dir dir, uint64_t iv_number, uint8_t *buf,
                              size_t len);
enum err efi_cr_argon2(enum cr_argon2_type type, const void *password, size_t password_len, const void *salt,
                       size_t salt_len, uint32_t time, uint32_t memory_kib, uint32_t lanes, uint8_t *ret,
                       size_t ret_len);
void efi_cr_sectors_wipe(struct cr_sectors *s);

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

static uint8_t in[32768], a[32768], b[32768];

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

static enum cr_dir any_dir(void)
{
    return below(2) ? CR_ENCRYPT : CR_DECRYPT;
}

static size_t any_key_len(void)
{
    static const size_t lens[] = {16, 24, 32, 48, 64}; /* 24 and 48: AES-192, nowhere in use for disks */
    return lens[below(5)];
}

static void test_xts(void **state)
{
    (void)state;
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill();
        enum cr_dir dir = any_dir();
        size_t key_len = any_key_len(), len = below(8192);
        agree("xts unit", r, cr_xts_unit(dir, in, key_len, in + 64, in + 128, a, len),
              efi_cr_xts_unit(dir, in, key_len, in + 64, in + 128, b, len));
    }
}

static void test_blocks(void **state)
{
    (void)state;
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill();
        enum cr_dir dir = any_dir();
        size_t key_len = any_key_len(), len = below(8) ? 16 * below(100) : below(1600);
        agree("ecb", r, cr_ecb(dir, in, key_len, in + 64, a, len),
              efi_cr_ecb(dir, in, key_len, in + 64, b, len));
        agree("cbc", r, cr_cbc(dir, in, key_len, in + 64, in + 80, a, len),
              efi_cr_cbc(dir, in, key_len, in + 64, in + 80, b, len));
    }
}

/* What OpenSSL seals both open, changed by a bit or not; and both leave the same bytes behind. */
static void test_ccm(void **state)
{
    (void)state;
    static uint8_t ct[1000];
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill();
        size_t key_len = any_key_len(), len = below(sizeof ct), aad_len = below(100);
        uint8_t tag[CR_CCM_TAG] = {0};
        enum err e = cr_ccm_seal(in, key_len, in + 64, in + 80, aad_len, in + 200, len, ct, tag);
        if (e == ERR_OK && below(4) == 0)
            tag[below(16)] ^= (uint8_t)(1u << below(8));
        else if (e == ERR_OK && len > 0 && below(4) == 0)
            ct[below(len)] ^= (uint8_t)(1u << below(8));
        agree("ccm", r, cr_ccm_open(in, key_len, in + 64, in + 80, aad_len, ct, len, tag, a),
              efi_cr_ccm_open(in, key_len, in + 64, in + 80, aad_len, ct, len, tag, b));
    }
}

static enum err sectors(enum cr_sectors_mode mode, enum cr_dir dir, size_t key_len, size_t size, size_t unit,
                        uint64_t number, uint8_t *buf, size_t len)
{
    struct cr_sectors s;
    TRY(cr_sectors_init(&s, mode, in, key_len, size, unit));
    enum err e = cr_sectors_crypt(&s, dir, number, buf, len);
    cr_sectors_wipe(&s);
    return e;
}

static enum err efi_sectors(enum cr_sectors_mode mode, enum cr_dir dir, size_t key_len, size_t size,
                            size_t unit, uint64_t number, uint8_t *buf, size_t len)
{
    struct cr_sectors s;
    TRY(efi_cr_sectors_init(&s, mode, in, key_len, size, unit));
    enum err e = efi_cr_sectors_crypt(&s, dir, number, buf, len);
    efi_cr_sectors_wipe(&s);
    return e;
}

static void test_sectors(void **state)
{
    (void)state;
    unsigned ok = 0;
    for (unsigned r = 0; r < 10 * ROUNDS; r++) {
        fill();
        memcpy(a, in, sizeof a);
        memcpy(b, in, sizeof b);
        enum cr_sectors_mode mode = (enum cr_sectors_mode)below(8); /* 0 and 7 are unknown */
        enum cr_dir dir = any_dir();
        size_t key_len = any_key_len(), size = (size_t)512 << below(4), unit = below(2) ? 512 : size;
        size_t len = below(10) ? size * below(sizeof in / size + 1) : below(sizeof in);
        const uint64_t number = next() >> below(64);
        enum err e = sectors(mode, dir, key_len, size, unit, number, a, len);
        agree("sectors", r, e, efi_sectors(mode, dir, key_len, size, unit, number, b, len));
        ok += e == ERR_OK;
    }
    assert_true(ok > ROUNDS); /* most rows are not refused */
}

static void test_argon2(void **state)
{
    (void)state;
    for (unsigned r = 0; r < ROUNDS; r++) {
        fill();
        enum cr_argon2_type type = (enum cr_argon2_type)below(4); /* 0 and 3 are unknown */
        size_t password = below(200), salt = 4 + below(60), len = below(100);
        uint32_t time = (uint32_t)below(4), memory = (uint32_t)below(600), lanes = (uint32_t)below(6);
        agree("argon2", r, cr_argon2(type, in, password, in + 500, salt, time, memory, lanes, a, len),
              efi_cr_argon2(type, in, password, in + 500, salt, time, memory, lanes, b, len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),   cmocka_unit_test(test_pbkdf2), cmocka_unit_test(test_xts),
        cmocka_unit_test(test_blocks), cmocka_unit_test(test_ccm),    cmocka_unit_test(test_sectors),
        cmocka_unit_test(test_argon2),
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
