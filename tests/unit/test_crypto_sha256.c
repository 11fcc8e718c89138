/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The compression function: every path that this processor has runs the same vectors, and agrees with
 * OpenSSL's whole hash on random messages. */
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "crypto/sha256_hmac.h"
#include "crypto/sha256_sum.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGE_MAX 1000
#define ROUNDS      400

/* source: FIPS 180-4's example messages */
static const struct {
    const char *name, *msg;
    uint32_t digest[8];
} rows[] = {
    {"nothing",
     "",
     {0xe3b0c442, 0x98fc1c14, 0x9afbf4c8, 0x996fb924, 0x27ae41e4, 0x649b934c, 0xa495991b, 0x7852b855}},
    {"abc",
     "abc",
     {0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223, 0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad}},
    {"448 bits",
     "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     {0x248d6a61, 0xd20638b8, 0xe5c02693, 0x0c3e6039, 0xa33ce459, 0x64ff2167, 0xf6ecedd4, 0x19db06c1}},
};

/* Padding of FIPS 180-4 section 5.1.1; returns the number of blocks. */
static size_t pad(const void *msg, size_t len, uint8_t *ret)
{
    size_t n = (len + 8) / CR_SHA256_BLOCK + 1, end = n * CR_SHA256_BLOCK;
    memset(ret, 0, end);
    if (len > 0)
        memcpy(ret, msg, len);
    ret[len] = 0x80;
    for (size_t i = 0; i < 8; i++)
        ret[end - 1 - i] = (uint8_t)((uint64_t)len * 8 >> 8 * i);
    return n;
}

static void to_words(const uint8_t *bytes, size_t n_blocks, uint32_t *ret)
{
    for (size_t i = 0; i < 16 * n_blocks; i++)
        ret[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 |
                 (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
}

static uint8_t padded[MESSAGE_MAX + 128];
static uint32_t words[(MESSAGE_MAX + 128) / 4];

/* Run a check on every usable path; the others are said to be skipped. */
static void on_every_path(void (*check)(const char *path))
{
    const enum cr_sha256_path before = cr_sha256_path();
    for (int p = 1; p <= CR_SHA256_PATHS; p++) {
        const char *name = cr_sha256_path_name((enum cr_sha256_path)p);
        if (cr_sha256_force((enum cr_sha256_path)p) == ERR_OK)
            check(name);
        else
            print_message("SKIP: this processor has no %s\n", name);
    }
    assert_int_equal(cr_sha256_force(before), ERR_OK);
}

static void check_vectors(const char *path)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t state[CR_SHA256_WORDS];
        size_t n = pad(rows[i].msg, strlen(rows[i].msg), padded);
        cr_sha256_init(state);
        cr_sha256_compress(state, padded, n);
        if (memcmp(state, rows[i].digest, sizeof state) != 0)
            fail_msg("%s, %s: other digest", path, rows[i].name);
    }
}

static void check_random(const char *path)
{
    for (unsigned r = 0; r < ROUNDS; r++) {
        uint8_t msg[MESSAGE_MAX], want[CR_SHA256_SIZE], got[CR_SHA256_SIZE];
        uint32_t a[CR_SHA256_WORDS], b[CR_SHA256_WORDS];
        uint16_t pick;
        assert_int_equal(cr_random(&pick, sizeof pick), ERR_OK);
        size_t len = pick % (MESSAGE_MAX - 7), at = pick & 7; /* at: any alignment */
        assert_int_equal(cr_random(msg, len), ERR_OK);
        assert_int_equal(cr_sha256(msg, len, want), ERR_OK);
        size_t n = pad(msg, len, padded + at);
        cr_sha256_init(a);
        cr_sha256_compress(a, padded + at, n);
        to_words(padded + at, n, words);
        cr_sha256_init(b);
        cr_sha256_words(b, words, n);
        cr_sha256_store(a, got);
        if (memcmp(a, b, sizeof a) != 0 || memcmp(got, want, sizeof got) != 0)
            fail_msg("%s, a message of %zu bytes: other digest than OpenSSL's", path, len);
    }
}

/* Two chains side by side give what each gives alone, from any two states. */
static void check_two(const char *path)
{
    for (unsigned r = 0; r < ROUNDS; r++) {
        uint32_t state[2][CR_SHA256_WORDS], alone[2][CR_SHA256_WORDS], block[2][48];
        assert_int_equal(cr_random(state, sizeof state), ERR_OK);
        assert_int_equal(cr_random(block, sizeof block), ERR_OK);
        memcpy(alone, state, sizeof alone);
        cr_sha256_words(alone[0], block[0], r % 4);
        cr_sha256_words(alone[1], block[1], r % 4);
        cr_sha256_words2(state[0], state[1], block[0], block[1], r % 4);
        if (memcmp(alone, state, sizeof alone) != 0)
            fail_msg("%s: two chains side by side disturb each other", path);
    }
}

/* Piece by piece gives what all at once gives, however it is cut. */
static void check_sum(const char *path)
{
    for (unsigned r = 0; r < ROUNDS; r++) {
        uint8_t msg[MESSAGE_MAX], want[CR_SHA256_SIZE], got[CR_SHA256_SIZE];
        struct cr_sha256_sum sum;
        uint16_t cut[4];
        assert_int_equal(cr_random(msg, sizeof msg), ERR_OK);
        assert_int_equal(cr_random(cut, sizeof cut), ERR_OK);
        size_t len = r < sizeof msg ? r : cut[0] % sizeof msg, at = 0;
        cr_sha256_sum_init(&sum);
        for (unsigned i = 1; i < 4; at += cut[i++]) {
            cut[i] = (uint16_t)(cut[i] % (len - at + 1));
            cr_sha256_sum_add(&sum, msg + at, cut[i]);
        }
        cr_sha256_sum_add(&sum, msg + at, len - at);
        cr_sha256_sum_end(&sum, got);
        assert_int_equal(cr_sha256(msg, len, want), ERR_OK);
        if (memcmp(got, want, sizeof got) != 0)
            fail_msg("%s, %zu bytes in pieces: other digest than OpenSSL's", path, len);
    }
}

static void test_sum(void **state)
{
    (void)state;
    on_every_path(check_sum);
}

static void test_vectors(void **state)
{
    (void)state;
    on_every_path(check_vectors);
}

static void test_random(void **state)
{
    (void)state;
    on_every_path(check_random);
}

static void test_two(void **state)
{
    (void)state;
    on_every_path(check_two);
}

static void test_force(void **state)
{
    (void)state;
    const enum cr_sha256_path before = cr_sha256_path();
    assert_true(cr_sha256_path_usable(before));
    assert_true(cr_sha256_path_usable(CR_SHA256_SCALAR));
    assert_int_equal(cr_sha256_force(CR_SHA256_SCALAR), ERR_OK);
    assert_int_equal(cr_sha256_path(), CR_SHA256_SCALAR);
    assert_int_equal(cr_sha256_force((enum cr_sha256_path)3), ERR_UNSUPPORTED);
    assert_int_equal(cr_sha256_path(), CR_SHA256_SCALAR);
    assert_int_equal(cr_sha256_force(before), ERR_OK);
}

/* RFC 4231, and what the library says for keys and messages around every block's end. */
static void test_hmac(void **state)
{
    static const struct {
        const char *key, *message, *mac;
    } table[] = {
        {"Jefe", "what do ya want for nothing?",
         "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7"
         "\x5a\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58\xb9\x64\xec\x38\x43"},
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There",
         "\xb0\x34\x4c\x61\xd8\xdb\x38\x53\x5c\xa8\xaf\xce\xaf\x0b\xf1\x2b"
         "\x88\x1d\xc2\x00\xc9\x83\x3d\xa7\x26\xe9\x37\x6c\x2e\x32\xcf\xf7"},
    };
    uint8_t bytes[300], got[32], want[32];
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct cr_part part = {table[i].message, strlen(table[i].message)};
        cr_sha256_hmac(table[i].key, strlen(table[i].key), &part, 1, got);
        assert_memory_equal(got, table[i].mac, sizeof got);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
    for (size_t key = 0; key <= 130; key += key < 60 || key > 68 ? 13 : 1)
        for (size_t len = 0; len <= 160; len++) {
            const struct cr_part parts[] = {{bytes, len / 3}, {NULL, 0}, {bytes + len / 3, len - len / 3}};
            cr_sha256_hmac(bytes + 100, key, parts, 3, got);
            assert_int_equal(cr_hmac(CR_SHA256, bytes + 100, key, parts, 3, want), ERR_OK);
            assert_memory_equal(got, want, sizeof got);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac), cmocka_unit_test(test_vectors), cmocka_unit_test(test_random),
        cmocka_unit_test(test_two),  cmocka_unit_test(test_sum),     cmocka_unit_test(test_force),
    };
    print_message("path in use: %s\n", cr_sha256_path_name(cr_sha256_path()));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
