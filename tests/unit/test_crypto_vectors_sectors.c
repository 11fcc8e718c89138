/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES over sectors: published vectors where there are, and every mode against its definition, put together
 * from the one-message calls. */
#include "crypto/hash.h"
#include "crypto/sectors.h"
#include "tests/unit/test_crypto_json.h"
#include "tests/unit/test_crypto_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECTORS_MAX 70 /* two whole batches and a bit */
#define GUARD       64

static uint8_t buf[SECTORS_MAX * CR_SECTOR_MAX + GUARD], key[64];

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 ^ i >> 8);
}

static void fill(void)
{
    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = pattern(i);
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(7 * i + 1);
}

/* source: IEEE 1619-2007, annex B, vector 10: XTS-AES-256, data unit ff, 512 bytes 00..ff 00..ff */
static const char ieee_key[] = "27182818284590452353602874713526624977572470936999595749669676"
                               "273141592653589793238462643383279502884197169399375105820974944592";
static const char ieee_first[] = "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b";
static const char ieee_last[] = "55c824bb5e54c4f36ffda9fcea70b9c6e693e148c151";

static void test_ieee(void **state)
{
    (void)state;
    static struct bytes k, first, last;
    struct cr_sectors s;
    uint8_t one[512];
    bytes_from_hex(ieee_key, &k);
    bytes_from_hex(ieee_first, &first);
    bytes_from_hex(ieee_last, &last);
    for (size_t i = 0; i < sizeof one; i++)
        one[i] = (uint8_t)i;
    assert_int_equal(cr_sectors_init(&s, CR_XTS_PLAIN64, k.b, k.len, 512, 512), ERR_OK);
    assert_int_equal(cr_sectors_crypt(&s, CR_ENCRYPT, 0xff, one, sizeof one), ERR_OK);
    assert_memory_equal(one, first.b, first.len);
    assert_memory_equal(one + sizeof one - last.len, last.b, last.len);
    assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, 0xff, one, sizeof one), ERR_OK);
    for (size_t i = 0; i < sizeof one; i++)
        assert_int_equal(one[i], (uint8_t)i);
    cr_sectors_wipe(&s);
}

/* The first blocks of a sector. source: Linux, crypto/testmgr.h, vectors of essiv(cbc(aes),sha256); number is
 * their IV, little-endian */
static const struct {
    const char *name, *key;
    uint64_t number;
    const char *pt, *ct;
} essiv[] = {
    {"AES-128", "c286696d887c9aa0611bbb3e2025a45a", 0x283d096d99172e56,
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "c8599afe79e67b20067d550a5ec7b5a70b9c80d215a1b86dc6ab7b65d9fd88eb"},
    {"AES-256", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", 0x0706050403020100,
     "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
     "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
     "2452f14874d0a793759b6346c01c1e174ddc5b3a27932a63f7f1c7b354565b50"
     "a331a58bd6fdb63c8bf6f245050cc8bb320b261ce98b02c0b26f37a75ba8a942"},
};

static void test_essiv(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof essiv / sizeof essiv[0]; i++) {
        static struct bytes k, pt, ct;
        struct cr_sectors s;
        uint8_t one[512] = {0};
        bytes_from_hex(essiv[i].key, &k);
        bytes_from_hex(essiv[i].pt, &pt);
        bytes_from_hex(essiv[i].ct, &ct);
        memcpy(one, pt.b, pt.len);
        assert_int_equal(cr_sectors_init(&s, CR_CBC_ESSIV_SHA256, k.b, k.len, 512, 512), ERR_OK);
        assert_int_equal(cr_sectors_crypt(&s, CR_ENCRYPT, essiv[i].number, one, sizeof one), ERR_OK);
        assert_true(same_bytes(essiv[i].name, one, ct.b, ct.len));
        assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, essiv[i].number, one, sizeof one), ERR_OK);
        assert_true(same_bytes(essiv[i].name, one, pt.b, pt.len));
        cr_sectors_wipe(&s);
    }
}

static const struct mode {
    const char *name;
    enum cr_sectors_mode mode;
    size_t key_len[2];
} modes[] = {
    {"xts-plain64", CR_XTS_PLAIN64, {32, 64}},    {"xts-plain", CR_XTS_PLAIN, {32, 64}},
    {"cbc-plain64", CR_CBC_PLAIN64, {16, 32}},    {"cbc-plain", CR_CBC_PLAIN, {16, 32}},
    {"cbc-essiv", CR_CBC_ESSIV_SHA256, {16, 32}}, {"cbc-eboiv", CR_CBC_EBOIV, {16, 32}},
};
#define N_MODES (sizeof modes / sizeof modes[0])

/* A sector's IV by the book. source: Linux, dm-crypt.rst, "ivmode" */
static void iv_of(enum cr_sectors_mode mode, size_t key_len, uint64_t number, size_t unit, uint8_t ret[16])
{
    uint8_t salt[CR_SHA256_SIZE];
    if (mode == CR_XTS_PLAIN || mode == CR_CBC_PLAIN)
        number = (uint32_t)number;
    if (mode == CR_CBC_EBOIV)
        number *= unit;
    memset(ret, 0, 16);
    for (size_t k = 0; k < 8; k++)
        ret[k] = (uint8_t)(number >> 8 * k);
    if (mode == CR_CBC_ESSIV_SHA256) {
        assert_int_equal(cr_sha256(key, key_len, salt), ERR_OK);
        assert_int_equal(cr_ecb(CR_ENCRYPT, salt, sizeof salt, ret, ret, 16), ERR_OK);
    } else if (mode == CR_CBC_EBOIV) {
        assert_int_equal(cr_ecb(CR_ENCRYPT, key, key_len, ret, ret, 16), ERR_OK);
    }
}

/* Encrypt n sectors by the code under test; each must be what its definition gives; decrypt all again. */
static void by_definition(const struct mode *m, size_t key_len, size_t size, size_t unit, uint64_t number,
                          size_t n)
{
    struct cr_sectors s;
    fill();
    assert_int_equal(cr_sectors_init(&s, m->mode, key, key_len, size, unit), ERR_OK);
    assert_int_equal(cr_sectors_crypt(&s, CR_ENCRYPT, number, buf, n * size), ERR_OK);
    for (size_t i = 0; i < n; i++) {
        uint8_t iv[16], want[CR_SECTOR_MAX];
        for (size_t k = 0; k < size; k++)
            want[k] = pattern(i * size + k);
        iv_of(m->mode, key_len, number + i * (size / unit), unit, iv);
        bool xts = m->mode == CR_XTS_PLAIN64 || m->mode == CR_XTS_PLAIN;
        assert_int_equal(xts ? cr_xts_unit(CR_ENCRYPT, key, key_len, iv, want, want, size)
                             : cr_cbc(CR_ENCRYPT, key, key_len, iv, want, want, size),
                         ERR_OK);
        if (memcmp(want, buf + i * size, size) != 0)
            fail_msg("%s, key of %zu bytes, sectors of %zu, unit %zu: sector %zu of %zu", m->name, key_len,
                     size, unit, i, n);
    }
    assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, number, buf, n * size), ERR_OK);
    for (size_t i = 0; i < n * size + GUARD; i++)
        if (buf[i] != pattern(i))
            fail_msg("%s, sectors of %zu: decrypting gives another byte %zu", m->name, size, i);
    cr_sectors_wipe(&s);
}

static void test_modes(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 31, 32, 33, SECTORS_MAX};
    for (size_t i = 0; i < N_MODES; i++)
        for (size_t size = CR_SECTOR_MIN; size <= CR_SECTOR_MAX; size *= 2)
            for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
                by_definition(&modes[i], modes[i].key_len[c % 2], size, 512, 0xfffffffeu, counts[c]);
                by_definition(&modes[i], modes[i].key_len[c % 2], size, size, 0x123456789ull, counts[c]);
            }
}

/* Cut anywhere between sectors, a run gives the same as in one piece. */
static void test_cut(void **state)
{
    (void)state;
    static uint8_t whole[40 * 512];
    for (size_t i = 0; i < N_MODES; i++) {
        struct cr_sectors s;
        fill();
        assert_int_equal(cr_sectors_init(&s, modes[i].mode, key, 32, 512, 512), ERR_OK);
        memcpy(whole, buf, sizeof whole);
        assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, 5, whole, sizeof whole), ERR_OK);
        for (size_t at = 0; at <= 40; at++) {
            fill();
            assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, 5, buf, at * 512), ERR_OK);
            assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, 5 + at, buf + at * 512, (40 - at) * 512),
                             ERR_OK);
            assert_memory_equal(buf, whole, sizeof whole);
        }
        cr_sectors_wipe(&s);
    }
}

/* mode, key length, sector size, unit of the IV number */
static const struct {
    const char *name;
    int mode;
    size_t key_len, size, unit;
    enum err want;
} inits[] = {
    {"mode 0", 0, 32, 512, 512, ERR_UNSUPPORTED},
    {"mode 7", 7, 32, 512, 512, ERR_UNSUPPORTED},
    {"no key", CR_XTS_PLAIN64, 0, 512, 512, ERR_UNSUPPORTED},
    {"XTS with half a key", CR_XTS_PLAIN64, 16, 512, 512, ERR_UNSUPPORTED},
    {"XTS-AES-192", CR_XTS_PLAIN64, 48, 512, 512, ERR_UNSUPPORTED},
    {"CBC-AES-192", CR_CBC_PLAIN64, 24, 512, 512, ERR_UNSUPPORTED},
    {"CBC with an XTS key", CR_CBC_EBOIV, 64, 512, 512, ERR_UNSUPPORTED},
    {"sectors of 0", CR_XTS_PLAIN64, 64, 0, 512, ERR_RANGE},
    {"sectors of 256", CR_XTS_PLAIN64, 64, 256, 256, ERR_RANGE},
    {"sectors of 1000", CR_XTS_PLAIN64, 64, 1000, 512, ERR_RANGE},
    {"sectors of 8192", CR_XTS_PLAIN64, 64, 8192, 512, ERR_RANGE},
    {"unit of 0", CR_XTS_PLAIN64, 64, 4096, 0, ERR_RANGE},
    {"unit between", CR_XTS_PLAIN64, 64, 4096, 1024, ERR_RANGE},
    {"unit above", CR_XTS_PLAIN64, 64, 512, 4096, ERR_RANGE},
    {"large sectors", CR_XTS_PLAIN64, 64, 4096, 4096, ERR_OK},
};

static void test_init(void **state)
{
    (void)state;
    fill();
    for (size_t i = 0; i < sizeof inits / sizeof inits[0]; i++) {
        struct cr_sectors s;
        enum err e = cr_sectors_init(&s, (enum cr_sectors_mode)inits[i].mode, key, inits[i].key_len,
                                     inits[i].size, inits[i].unit);
        if (e != inits[i].want)
            fail_msg("%s: %s", inits[i].name, err_name(e));
        cr_sectors_wipe(&s); /* after a failed init too */
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct cr_sectors s = {0};
    cr_sectors_wipe(&s);
    fill();
    assert_int_equal(cr_sectors_init(&s, CR_CBC_EBOIV, key, 16, 512, 512), ERR_OK);
    for (size_t len = 0; len < 1100; len++)
        if (len % 512 != 0)
            assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, 0, buf, len), ERR_RANGE);
    assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, 0, buf, 0), ERR_OK);
    /* the last byte offset that 64 bits hold, and one sector more */
    assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, (UINT64_MAX >> 9) - 1, buf, 1024), ERR_RANGE);
    assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, UINT64_MAX >> 8, buf, 512), ERR_RANGE);
    for (size_t i = 0; i < 1100; i++)
        assert_int_equal(buf[i], pattern(i)); /* a refused call changes nothing */
    assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, (UINT64_MAX >> 9) - 1, buf, 512), ERR_OK);
    cr_sectors_wipe(&s);
    memcpy(key + 32, key, 32); /* equal halves: nothing is encrypted so, but old disks may be read */
    assert_int_equal(cr_sectors_init(&s, CR_XTS_PLAIN64, key, 64, 512, 512), ERR_OK);
    assert_int_equal(cr_sectors_crypt(&s, CR_ENCRYPT, 0, buf, 512), ERR_RANGE);
    assert_int_equal(cr_sectors_crypt(&s, CR_DECRYPT, 0, buf, 512), ERR_OK);
    cr_sectors_wipe(&s);
}

int crypto_sectors_vectors_run(void)
{
    const struct CMUnitTest vectors[] = {
        cmocka_unit_test(test_ieee), cmocka_unit_test(test_essiv), cmocka_unit_test(test_modes),
        cmocka_unit_test(test_cut),  cmocka_unit_test(test_init),  cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("sectors", vectors, NULL, NULL);
}
