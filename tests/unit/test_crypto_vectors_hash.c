/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "tests/unit/test_crypto_json.h"
#include "tests/unit/test_crypto_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* source: FIPS 180-4's example messages (NIST, Cryptographic Standards and Guidelines, examples) */
static const struct {
    const char *name;
    enum cr_hash alg;
    const char *piece;
    unsigned repeat;
    const char *digest;
} hashes[] = {
    {"SHA1 of nothing", CR_SHA1, "", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {"SHA1 of abc", CR_SHA1, "abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"SHA1 of 448 bits", CR_SHA1, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {"SHA1 of a million a", CR_SHA1, "aaaaaaaaaa", 100000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
    {"SHA256 of nothing", CR_SHA256, "", 1,
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"SHA256 of abc", CR_SHA256, "abc", 1,
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"SHA256 of 448 bits", CR_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"SHA256 of a million a", CR_SHA256, "aaaaaaaaaa", 100000,
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {"SHA512 of nothing", CR_SHA512, "", 1,
     "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931b"
     "d47417a81a538327af927da3e"},
    {"SHA512 of abc", CR_SHA512, "abc", 1,
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d442"
     "3643ce80e2a9ac94fa54ca49f"},
    {"SHA512 of 448 bits", CR_SHA512, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c33596fd15c13b1b07f9aa1d3bea57789ca031ad85c"
     "7a71dd70354ec631238ca3445"},
    {"SHA512 of a million a", CR_SHA512, "aaaaaaaaaa", 100000,
     "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5"
     "c2c49aa2e4eadb217ad8cc09b"},
};

static void test_hash(void **state)
{
    (void)state;
    static struct cr_part parts[100000];
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        static struct bytes want;
        uint8_t got[CR_HASH_MAX];
        bytes_from_hex(hashes[i].digest, &want);
        for (unsigned k = 0; k < hashes[i].repeat; k++)
            parts[k] = (struct cr_part){hashes[i].piece, strlen(hashes[i].piece)};
        assert_int_equal(cr_hash_size(hashes[i].alg), want.len);
        assert_int_equal(cr_hash_parts(hashes[i].alg, parts, hashes[i].repeat, got), ERR_OK);
        failed += !same_bytes(hashes[i].name, got, want.b, want.len);
    }
    assert_int_equal(failed, 0);
    uint8_t got[CR_HASH_MAX];
    assert_int_equal(cr_hash_size((enum cr_hash)9), 0);
    assert_int_equal(cr_hash_parts((enum cr_hash)9, parts, 0, got), ERR_UNSUPPORTED);
}

/* However a message is cut, its digest is the same. */
static void test_hash_parts(void **state)
{
    (void)state;
    uint8_t msg[300], whole[CR_SHA256_SIZE], cut[CR_SHA256_SIZE];
    for (size_t i = 0; i < sizeof msg; i++)
        msg[i] = (uint8_t)(i * 7);
    assert_int_equal(cr_sha256(msg, sizeof msg, whole), ERR_OK);
    for (size_t at = 0; at <= sizeof msg; at++) {
        const struct cr_part parts[] = {{msg, at}, {NULL, 0}, {msg + at, sizeof msg - at}};
        assert_int_equal(cr_hash_parts(CR_SHA256, parts, 3, cut), ERR_OK);
        assert_memory_equal(cut, whole, sizeof whole);
    }
}

/* source: RFC 4231, RFC 2202 */
static const struct {
    const char *name;
    enum cr_hash alg;
    const char *key, *msg, *mac;
} macs[] = {
    {"RFC 4231 case 1, SHA256", CR_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"RFC 4231 case 2, SHA256", CR_SHA256, "4a656665", "what do ya want for nothing?",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"RFC 4231 case 6, SHA256", CR_SHA256,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "Test Using Larger Than Block-Size Key - Hash Key First",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"RFC 4231 case 7, SHA256", CR_SHA256,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "This is a test using a larger than block-size key and a larger than block-size data. The key needs to "
     "be hashed before being used by the HMAC algorithm.",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    {"RFC 4231 case 1, SHA512", CR_SHA512, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There",
     "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914"
     "eeb61f1702e696c203a126854"},
    {"RFC 4231 case 2, SHA512", CR_SHA512, "4a656665", "what do ya want for nothing?",
     "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a"
     "34d4a6b4b636e070a38bce737"},
    {"RFC 4231 case 6, SHA512", CR_SHA512,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "Test Using Larger Than Block-Size Key - Hash Key First",
     "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f7"
     "3f63f0aec8b915a985d786598"},
    {"RFC 4231 case 7, SHA512", CR_SHA512,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "This is a test using a larger than block-size key and a larger than block-size data. The key needs to "
     "be hashed before being used by the HMAC algorithm.",
     "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944b6022cac3c4982b10d5eeb55c3e4de15134676f"
     "b6de0446065c97440fa8c6a58"},
    {"RFC 2202 case 1, SHA1", CR_SHA1, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "Hi There",
     "b617318655057264e28bc0b6fb378c8ef146be00"},
    {"RFC 2202 case 2, SHA1", CR_SHA1, "4a656665", "what do ya want for nothing?",
     "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {"RFC 2202 case 6, SHA1", CR_SHA1,
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "Test Using Larger Than Block-Size Key - Hash Key First", "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {"empty key, empty message", CR_SHA256, "", "",
     "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
};

static void test_hmac(void **state)
{
    (void)state;
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof macs / sizeof macs[0]; i++) {
        static struct bytes key, want;
        uint8_t got[CR_HASH_MAX];
        bytes_from_hex(macs[i].key, &key);
        bytes_from_hex(macs[i].mac, &want);
        size_t len = strlen(macs[i].msg);
        const struct cr_part parts[] = {{macs[i].msg, len / 2}, {macs[i].msg + len / 2, len - len / 2}};
        assert_int_equal(cr_hmac(macs[i].alg, key.b, key.len, parts, 2, got), ERR_OK);
        failed += !same_bytes(macs[i].name, got, want.b, want.len);
    }
    assert_int_equal(failed, 0);
}

/* source: RFC 6070 (SHA-1); SHA-256 and SHA-512 come from Wycheproof */
static const struct {
    const char *name, *password;
    size_t password_len;
    const char *salt;
    size_t salt_len;
    uint32_t iterations;
    const char *key;
} kdfs[] = {
    {"RFC 6070, 1", "password", 8, "salt", 4, 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"},
    {"RFC 6070, 2", "password", 8, "salt", 4, 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"},
    {"RFC 6070, 3", "password", 8, "salt", 4, 4096, "4b007901b765489abead49d926f721d065a429c1"},
    {"RFC 6070, 5", "passwordPASSWORDpassword", 24, "saltSALTsaltSALTsaltSALTsaltSALTsalt", 36, 4096,
     "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"},
    {"RFC 6070, 6", "pass\0word", 9, "sa\0lt", 5, 4096, "56fa6aa75548099dcc37d7f03425e0c3"},
};

static void test_pbkdf2_sha1(void **state)
{
    (void)state;
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof kdfs / sizeof kdfs[0]; i++) {
        static struct bytes want;
        uint8_t got[64];
        bytes_from_hex(kdfs[i].key, &want);
        assert_int_equal(cr_pbkdf2(CR_SHA1, kdfs[i].password, kdfs[i].password_len, kdfs[i].salt,
                                   kdfs[i].salt_len, kdfs[i].iterations, got, want.len),
                         ERR_OK);
        failed += !same_bytes(kdfs[i].name, got, want.b, want.len);
    }
    assert_int_equal(failed, 0);
}

static bool pbkdf2_row(enum cr_hash alg, struct json_object *test)
{
    static struct bytes password, salt, want;
    uint8_t got[BYTES_MAX];
    bytes_get(test, "password", &password);
    bytes_get(test, "salt", &salt);
    bytes_get(test, "dk", &want);
    return cr_pbkdf2(alg, password.b, password.len, salt.b, salt.len,
                     (uint32_t)int_get(test, "iterationCount"), got, want.len) == ERR_OK &&
           memcmp(got, want.b, want.len) == 0;
}

static bool pbkdf2_sha256_row(struct json_object *group, struct json_object *test, enum verdict want)
{
    (void)group;
    return pbkdf2_row(CR_SHA256, test) == (want == VALID);
}

static bool pbkdf2_sha512_row(struct json_object *group, struct json_object *test, enum verdict want)
{
    (void)group;
    return pbkdf2_row(CR_SHA512, test) == (want == VALID);
}

static void test_pbkdf2_wycheproof(void **state)
{
    (void)state;
    wycheproof_run("wycheproof/pbkdf2_hmacsha256_test.json", 60, pbkdf2_sha256_row);
    wycheproof_run("wycheproof/pbkdf2_hmacsha512_test.json", 58, pbkdf2_sha512_row);
}

static void test_pbkdf2_limits(void **state)
{
    (void)state;
    uint8_t got[32];
    assert_int_equal(cr_pbkdf2(CR_SHA256, "p", 1, "s", 1, 0, got, 32), ERR_RANGE);
    assert_int_equal(cr_pbkdf2(CR_SHA256, "p", 1, "s", 1, 1, got, 0), ERR_RANGE);
    assert_int_equal(cr_pbkdf2((enum cr_hash)9, "p", 1, "s", 1, 1, got, 32), ERR_UNSUPPORTED);
}

/* One call of extract and expand. */
static enum err hkdf(const struct bytes *ikm, const struct bytes *salt, const struct bytes *info,
                     uint8_t *ret, size_t len)
{
    uint8_t prk[CR_SHA256_SIZE];
    const struct cr_part in = {ikm->b, ikm->len}, more = {info->b, info->len};
    TRY(cr_hkdf_extract(CR_SHA256, salt->b, salt->len, &in, 1, prk));
    return cr_hkdf_expand(CR_SHA256, prk, &more, 1, ret, len);
}

static bool hkdf_row(struct json_object *group, struct json_object *test, enum verdict want)
{
    (void)group;
    static struct bytes ikm, salt, info, okm;
    static uint8_t got[BYTES_MAX];
    bytes_get(test, "ikm", &ikm);
    bytes_get(test, "salt", &salt);
    bytes_get(test, "info", &info);
    bytes_get(test, "okm", &okm);
    size_t size = (size_t)int_get(test, "size");
    if (want == INVALID)
        return hkdf(&ikm, &salt, &info, got, size) == ERR_RANGE;
    return size == okm.len && hkdf(&ikm, &salt, &info, got, size) == ERR_OK &&
           memcmp(got, okm.b, okm.len) == 0;
}

static void test_hkdf(void **state)
{
    (void)state;
    wycheproof_run("wycheproof/hkdf_sha256_test.json", 86, hkdf_row);
}

int crypto_hash_vectors_run(void)
{
    const struct CMUnitTest vectors[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_hash_parts),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_pbkdf2_sha1),
        cmocka_unit_test(test_pbkdf2_wycheproof),
        cmocka_unit_test(test_pbkdf2_limits),
        cmocka_unit_test(test_hkdf),
    };
    return cmocka_run_group_tests_name("hash", vectors, NULL, NULL);
}
