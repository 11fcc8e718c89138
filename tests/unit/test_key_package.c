/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/p256.h"
#include "formats/key_package.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct guid org = {{1, 2, 3}}, other = {{3, 2, 1}};
static struct cr_p256_key *key[3];
static struct cr_p256_pub pub[3];

static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        if (cr_p256_generate(&key[i]) != ERR_OK || cr_p256_public(key[i], &pub[i]) != ERR_OK)
            return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        cr_p256_free(key[i]);
    return 0;
}

static struct key_package sample(void)
{
    struct key_package p = {.cipher = "aes-xts-plain64",
                            .sector_size = 512,
                            .offset = 16 << 20,
                            .size = LUKS2_TO_END,
                            .iv_offset = 8,
                            .hdr_size = 16384,
                            .keyslots_size = 16744448,
                            .digest_hash = CR_SHA256,
                            .digest_iterations = 270000,
                            .label = "root",
                            .subsystem = ""};
    p.volume_key.len = 64;
    for (int i = 0; i < 64; i++)
        p.volume_key.bytes[i] = (uint8_t)(i * 3);
    return p;
}

static size_t seal(unsigned n, uint8_t *ret)
{
    struct envelope head = {.key_id = {{7}}, .volume = {{8}}, .time = 99};
    struct key_package p = sample();
    size_t len = 0;
    assert_int_equal(key_package_seal(&head, &org, pub, n, &p, ret, &len), ERR_OK);
    return len;
}

static void round_trip(void **state)
{
    uint8_t bytes[KEY_PACKAGE_MAX];
    struct envelope e;
    (void)state;
    for (unsigned n = 1; n <= 2; n++) {
        size_t len = seal(n, bytes);
        assert_int_equal(key_package_decode(bytes, len, &e), ERR_OK);
        assert_true(e.kind == ENVELOPE_KEY_PACKAGE && e.n_recipients == n && e.key_id.bytes[0] == 7 &&
                    e.volume.bytes[0] == 8 && e.time == 99);
        struct key_package want = sample();
        for (unsigned i = 0; i < n; i++) {
            KEY_PACKAGE(got);
            assert_int_equal(key_package_open(bytes, len, &org, key[i], &got), ERR_OK);
            assert_string_equal(got.cipher, want.cipher);
            assert_true(got.sector_size == 512 && got.offset == want.offset && got.size == LUKS2_TO_END &&
                        got.iv_offset == 8 && got.hdr_size == 16384 &&
                        got.keyslots_size == want.keyslots_size && got.digest_hash == CR_SHA256 &&
                        got.digest_iterations == 270000);
            assert_string_equal(got.label, "root");
            assert_string_equal(got.subsystem, "");
            assert_int_equal(got.volume_key.len, 64);
            assert_memory_equal(got.volume_key.bytes, want.volume_key.bytes, 64);
        }
        KEY_PACKAGE(got);
        assert_int_equal(key_package_open(bytes, len, &org, key[2], &got), ERR_NOT_FOUND);
        assert_int_equal(key_package_open(bytes, len, &other, key[0], &got), ERR_AUTH);
    }
}

/* It is no envelope, and an envelope is no key package: nobody takes one for the other. */
static void not_an_envelope(void **state)
{
    uint8_t bytes[KEY_PACKAGE_MAX], envelope[ENVELOPE_MAX], password[RP_BYTES] = {5};
    struct envelope e, head = {.kind = ENVELOPE_RECOVERY_PASSWORD};
    size_t len = seal(1, bytes);
    (void)state;
    assert_int_not_equal(envelope_decode(bytes, len, &e), ERR_OK);
    assert_int_equal(envelope_seal(&head, &org, pub, 1, password, envelope, &len), ERR_OK);
    assert_int_equal(key_package_decode(envelope, len, &e), ERR_FORMAT);
}

static void every_byte_counts(void **state)
{
    uint8_t bytes[KEY_PACKAGE_MAX];
    struct envelope e;
    size_t len = seal(1, bytes);
    (void)state;
    for (size_t i = 0; i < len; i++) {
        KEY_PACKAGE(got);
        assert_int_not_equal(key_package_decode(bytes, i, &e), ERR_OK);
        bytes[i] ^= 1;
        if (key_package_open(bytes, len, &org, key[0], &got) == ERR_OK)
            fail_msg("a flipped bit in byte %zu is not noticed", i);
        bytes[i] ^= 1;
    }
    assert_int_equal(key_package_decode(bytes, len + 1, &e), ERR_FORMAT);
}

static void refused(void **state)
{
    uint8_t bytes[KEY_PACKAGE_MAX];
    struct envelope head = {.time = 1};
    struct key_package p = sample();
    size_t len = 0;
    (void)state;
    assert_int_equal(key_package_seal(&head, &org, pub, 0, &p, bytes, &len), ERR_RANGE);
    assert_int_equal(key_package_seal(&head, &org, pub, 5, &p, bytes, &len), ERR_RANGE);
    p.volume_key.len = LUKS2_KEY_MAX + 1;
    assert_int_equal(key_package_seal(&head, &org, pub, 1, &p, bytes, &len), ERR_RANGE);
    p.volume_key.len = 0;
    assert_int_equal(key_package_seal(&head, &org, pub, 1, &p, bytes, &len), ERR_RANGE);
    assert_int_equal(len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(not_an_envelope),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
