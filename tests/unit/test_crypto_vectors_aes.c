/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES of one message: ECB, CBC, CCM, XTS of one unit. */
#include "crypto/aes.h"
#include "crypto/sectors.h"
#include "tests/unit/test_crypto_json.h"
#include "tests/unit/test_crypto_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* source: NIST SP 800-38A, F.1 and F.2; the same plaintext and IV for all */
#define PLAIN                                                                                                \
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"                                       \
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define KEY_128 "2b7e151628aed2a6abf7158809cf4f3c"
#define KEY_256 "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"

static const struct {
    const char *name;
    bool cbc;
    const char *key, *ct;
} modes[] = {
    {"F.1.1 ECB-AES128", false, KEY_128,
     "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
     "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4"},
    {"F.1.5 ECB-AES256", false, KEY_256,
     "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
     "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7"},
    {"F.2.1 CBC-AES128", true, KEY_128,
     "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
     "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"},
    {"F.2.5 CBC-AES256", true, KEY_256,
     "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
     "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"},
};

static enum err run_mode(bool cbc, enum cr_dir dir, const struct bytes *key, const uint8_t *in, uint8_t *ret,
                         size_t len)
{
    uint8_t iv[CR_AES_BLOCK];
    for (size_t i = 0; i < sizeof iv; i++)
        iv[i] = (uint8_t)i;
    return cbc ? cr_cbc(dir, key->b, key->len, iv, in, ret, len)
               : cr_ecb(dir, key->b, key->len, in, ret, len);
}

static void test_ecb_cbc(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        static struct bytes key, pt, ct;
        uint8_t buf[64];
        bytes_from_hex(modes[i].key, &key);
        bytes_from_hex(PLAIN, &pt);
        bytes_from_hex(modes[i].ct, &ct);
        assert_int_equal(run_mode(modes[i].cbc, CR_ENCRYPT, &key, pt.b, buf, pt.len), ERR_OK);
        assert_true(same_bytes(modes[i].name, buf, ct.b, ct.len));
        assert_int_equal(run_mode(modes[i].cbc, CR_DECRYPT, &key, buf, buf, ct.len), ERR_OK); /* in place */
        assert_true(same_bytes(modes[i].name, buf, pt.b, pt.len));
    }
}

/* Every length that is no whole number of blocks, every key length that is not AES-128 or -256: refused, and
 * nothing is written. */
static void test_ecb_cbc_limits(void **state)
{
    (void)state;
    static struct bytes key;
    uint8_t in[64] = {0}, out[64], want[64];
    memset(out, 0x5a, sizeof out);
    memset(want, 0x5a, sizeof want);
    for (int cbc = 0; cbc < 2; cbc++) {
        for (size_t len = 0; len < sizeof in; len++) {
            key.len = 32;
            enum err e = run_mode(cbc, CR_DECRYPT, &key, in, out, len % 16 ? len : 0);
            assert_int_equal(e, len % 16 ? ERR_RANGE : ERR_OK);
        }
        for (key.len = 0; key.len < 70; key.len++)
            if (key.len != 16 && key.len != 32)
                assert_int_equal(run_mode(cbc, CR_ENCRYPT, &key, in, out, 16), ERR_UNSUPPORTED);
    }
    assert_memory_equal(out, want, sizeof out);
}

static bool ccm_row(struct json_object *group, struct json_object *test, enum verdict want)
{
    static struct bytes key, iv, aad, msg, ct, tag;
    static uint8_t got[BYTES_MAX], zero[BYTES_MAX];
    bytes_get(test, "key", &key);
    bytes_get(test, "iv", &iv);
    bytes_get(test, "aad", &aad);
    bytes_get(test, "msg", &msg);
    bytes_get(test, "ct", &ct);
    bytes_get(test, "tag", &tag);
    enum err e = cr_ccm_open(key.b, key.len, iv.b, aad.b, aad.len, ct.b, ct.len, tag.b, got);
    if (key.len == 24)
        return wycheproof_left_out("with AES-192", e == ERR_UNSUPPORTED);
    if (int_get(group, "ivSize") != 96)
        return wycheproof_left_out("with another nonce than of 12 bytes", true);
    if (int_get(group, "tagSize") != 128)
        return wycheproof_left_out("with another tag than of 16 bytes", true);
    if (want == INVALID)
        return e == ERR_AUTH && memcmp(got, zero, ct.len) == 0;
    return e == ERR_OK && memcmp(got, msg.b, msg.len) == 0;
}

static void test_ccm(void **state)
{
    (void)state;
    wycheproof_run("wycheproof/aes_ccm_test.json", 156, ccm_row);
}

/* A few of its rows, so that there is something without the data too. */
static const struct {
    const char *name, *key, *nonce, *pt, *ct, *tag;
} ccms[] = {
    {"tcId 1", "bedcfb5a011ebc84600fcb296c15af0d", "438a547a94ea88dce46c6c85", "", "",
     "25d1a38495a7dea45bda049705627d10"},
    {"tcId 4", "ffdf4228361ea1f8165852136b3480f7", "0e1666f2dc652f7708fb8f0d",
     "25b12e28ac0ef6ead0226a3b2288c800", "aaf596fa5b00aaac27700146aec932a9",
     "848b6735d32c96e4a0532bcdfaf33582"},
    {"tcId 160", "59d4eafb4de0cfc7d3db99a8f54b15d7b39f0acc8da69763b019c1699f87674a",
     "2fcb1b38a99e71b84740ad9b", "549b365af913f3b081131ccb6b825588", "48dd9589a47e638bbbc2aa3e232fa529",
     "df69fbe1f099f0134fe2869156ab07db"},
};

/* Each opens, in place too, and does not with any one bit of its tag changed (OpenSSL compares the tag of an
 * empty message only where it is asked in the right way). */
static void test_ccm_tag(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ccms / sizeof ccms[0]; i++) {
        static struct bytes key, nonce, pt, ct, tag;
        uint8_t out[16];
        bytes_from_hex(ccms[i].key, &key);
        bytes_from_hex(ccms[i].nonce, &nonce);
        bytes_from_hex(ccms[i].pt, &pt);
        bytes_from_hex(ccms[i].ct, &ct);
        bytes_from_hex(ccms[i].tag, &tag);
        for (unsigned bit = 0; bit < 8 * CR_CCM_TAG; bit++) {
            tag.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(cr_ccm_open(key.b, key.len, nonce.b, NULL, 0, ct.b, ct.len, tag.b, out),
                             ERR_AUTH);
            tag.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_int_equal(cr_ccm_open(key.b, key.len, nonce.b, NULL, 0, ct.b, ct.len, tag.b, ct.b), ERR_OK);
        assert_true(same_bytes(ccms[i].name, ct.b, pt.b, pt.len));
    }
}

static void test_ccm_limits(void **state)
{
    (void)state;
    uint8_t key[32] = {0}, nonce[CR_CCM_NONCE] = {0}, tag[CR_CCM_TAG] = {0}, out[16];
    static uint8_t big[CR_CCM_MAX + 1];
    for (size_t n = 0; n < 70; n++)
        if (n != 16 && n != 32)
            assert_int_equal(cr_ccm_open(key, n, nonce, NULL, 0, big, 16, tag, out), ERR_UNSUPPORTED);
    assert_int_equal(cr_ccm_open(key, 32, nonce, NULL, 0, big, sizeof big, tag, big), ERR_RANGE);
    assert_int_equal(cr_ccm_open(key, 32, nonce, big, sizeof big, big, 16, tag, out), ERR_RANGE);
    assert_int_equal(cr_ccm_open(key, 32, nonce, NULL, 0, NULL, 0, tag, out), ERR_AUTH);
    memset(out, 0x5a, sizeof out);
    assert_int_equal(cr_ccm_open(key, 32, nonce, NULL, 0, big, sizeof out, tag, out), ERR_AUTH);
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 0);
}

static bool xts_row(struct json_object *group, struct json_object *test, enum verdict want)
{
    (void)group;
    static struct bytes key, iv, msg, ct;
    uint8_t tweak[16] = {0}, got[BYTES_MAX], back[BYTES_MAX];
    bytes_get(test, "key", &key);
    bytes_get(test, "iv", &iv);
    bytes_get(test, "msg", &msg);
    bytes_get(test, "ct", &ct);
    memcpy(tweak, iv.b, iv.len < 16 ? iv.len : 16); /* short ones are little-endian numbers */
    enum err sealed = cr_xts_unit(CR_ENCRYPT, key.b, key.len, tweak, msg.b, got, msg.len);
    if (key.len == 48)
        return wycheproof_left_out("with AES-192", sealed == ERR_UNSUPPORTED);
    if (sealed != ERR_OK || memcmp(got, ct.b, ct.len) != 0)
        return false;
    return cr_xts_unit(CR_DECRYPT, key.b, key.len, tweak, got, back, ct.len) == ERR_OK &&
           (memcmp(back, msg.b, msg.len) == 0) == (want == VALID);
}

static void test_xts(void **state)
{
    (void)state;
    wycheproof_run("wycheproof/aes_xts_test.json", 82, xts_row);
}

static void test_xts_limits(void **state)
{
    (void)state;
    static uint8_t key[64], buf[1024], tweak[16];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    assert_int_equal(cr_xts_unit(CR_DECRYPT, key, 48, tweak, buf, buf, 16), ERR_UNSUPPORTED);
    assert_int_equal(cr_xts_unit(CR_DECRYPT, key, 64, tweak, buf, buf, 15), ERR_RANGE);
    assert_int_equal(cr_xts_unit(CR_DECRYPT, key, 64, tweak, buf, buf, 17), ERR_RANGE);
    assert_int_equal(cr_xts_unit(CR_DECRYPT, key, 64, tweak, buf, buf + 512, 17), ERR_OK);
    memcpy(key + 32, key, 32); /* equal halves: nothing is encrypted so, but old disks may be read */
    assert_int_equal(cr_xts_unit(CR_ENCRYPT, key, 64, tweak, buf, buf, 16), ERR_RANGE);
    assert_int_equal(cr_xts_unit(CR_DECRYPT, key, 64, tweak, buf, buf, 16), ERR_OK);
}

int crypto_aes_vectors_run(void)
{
    const struct CMUnitTest vectors[] = {
        cmocka_unit_test(test_ecb_cbc),    cmocka_unit_test(test_ecb_cbc_limits), cmocka_unit_test(test_ccm),
        cmocka_unit_test(test_ccm_tag),    cmocka_unit_test(test_ccm_limits),     cmocka_unit_test(test_xts),
        cmocka_unit_test(test_xts_limits),
    };
    return cmocka_run_group_tests_name("aes", vectors, NULL, NULL);
}
