/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only the hosted back end has: AES-GCM, P-256. */
#include "crypto/aes.h"
#include "crypto/p256.h"
#include "crypto/random.h"
#include "tests/unit/test_crypto_json.h"
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool gcm_row(struct json_object *group, struct json_object *test, enum verdict want)
{
    static struct bytes key, iv, aad, msg, ct, tag;
    static uint8_t got[BYTES_MAX], zero[BYTES_MAX];
    uint8_t got_tag[CR_GCM_TAG];
    bytes_get(test, "key", &key);
    bytes_get(test, "iv", &iv);
    bytes_get(test, "aad", &aad);
    bytes_get(test, "msg", &msg);
    bytes_get(test, "ct", &ct);
    bytes_get(test, "tag", &tag);
    if (key.len == 24)
        return wycheproof_left_out(
            "with AES-192", cr_gcm_seal(key.b, 24, iv.b, NULL, 0, NULL, 0, got, got_tag) == ERR_UNSUPPORTED);
    if (int_get(group, "ivSize") != 96) /* our interface has no other IV: nothing to run */
        return wycheproof_left_out("with another IV than of 12 bytes", true);
    enum err e = cr_gcm_open(key.b, key.len, iv.b, aad.b, aad.len, ct.b, ct.len, tag.b, got);
    if (want == INVALID)
        return e == ERR_AUTH && memcmp(got, zero, ct.len) == 0;
    return e == ERR_OK && memcmp(got, msg.b, msg.len) == 0 &&
           cr_gcm_seal(key.b, key.len, iv.b, aad.b, aad.len, msg.b, msg.len, got, got_tag) == ERR_OK &&
           memcmp(got, ct.b, ct.len) == 0 && memcmp(got_tag, tag.b, CR_GCM_TAG) == 0;
}

static void test_gcm(void **state)
{
    (void)state;
    wycheproof_run("wycheproof/aes_gcm_test.json", 133, gcm_row);
}

/* 32 bytes out of a hex integer of any length. */
static bool scalar_get(struct json_object *o, const char *name, uint8_t ret[static CR_P256_SCALAR])
{
    static struct bytes v;
    bytes_get(o, name, &v);
    size_t skip = v.len > CR_P256_SCALAR ? v.len - CR_P256_SCALAR : 0;
    for (size_t i = 0; i < skip; i++)
        if (v.b[i] != 0)
            return false;
    memset(ret, 0, CR_P256_SCALAR);
    memcpy(ret + CR_P256_SCALAR - (v.len - skip), v.b + skip, v.len - skip);
    return true;
}

static bool ecdh_row(struct json_object *group, struct json_object *test, enum verdict want)
{
    (void)group;
    static struct bytes public, shared;
    uint8_t scalar[CR_P256_SCALAR], got[CR_P256_SHARED];
    struct cr_p256_pub peer;
    struct cr_p256_key *key;
    bytes_get(test, "public", &public);
    bytes_get(test, "shared", &shared);
    if (public.len != CR_P256_POINT) /* compressed or empty: our type cannot hold it */
        return wycheproof_left_out("with a point of another length than 65 bytes", want != VALID);
    memcpy(peer.point, public.b, CR_P256_POINT);
    if (!scalar_get(test, "private", scalar) || cr_p256_from_scalar(scalar, &key) != ERR_OK)
        return false;
    enum err e = cr_p256_ecdh(key, &peer, got);
    cr_p256_free(key);
    if (want == INVALID)
        return e == ERR_FORMAT && cr_p256_check(&peer) == ERR_FORMAT;
    return e == ERR_OK && shared.len == sizeof got && memcmp(got, shared.b, sizeof got) == 0;
}

static void test_ecdh(void **state)
{
    (void)state;
    wycheproof_run("wycheproof/ecdh_secp256r1_ecpoint_test.json", 346, ecdh_row);
}

/* Raw r ‖ s of a signature in strict DER, with both integers in range of 32 bytes; else false. */
static bool raw_of(const struct bytes *der, uint8_t ret[static CR_P256_SIG])
{
    const uint8_t *p = der->b;
    unsigned char *again = NULL;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der->len);
    int n = sig ? i2d_ECDSA_SIG(sig, &again) : -1;
    bool ok = n >= 0 && (size_t)n == der->len && memcmp(again, der->b, der->len) == 0 &&
              !BN_is_negative(ECDSA_SIG_get0_r(sig)) && !BN_is_negative(ECDSA_SIG_get0_s(sig)) &&
              BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret, 32) == 32 &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret + 32, 32) == 32;
    OPENSSL_free(again);
    ECDSA_SIG_free(sig);
    return ok;
}

static bool ecdsa_row(struct json_object *group, struct json_object *test, enum verdict want)
{
    static struct bytes der, msg, sig;
    struct cr_p256_pub pub;
    uint8_t raw[CR_P256_SIG];
    bytes_get(group, "publicKeyDer", &der);
    bytes_get(test, "msg", &msg);
    bytes_get(test, "sig", &sig);
    if (cr_p256_from_spki(der.b, der.len, &pub) != ERR_OK)
        return false;
    if (!raw_of(&sig, raw)) /* bad only as DER, which we do not read: such a row must be an invalid one */
        return wycheproof_left_out("bad as DER only", want == INVALID);
    return cr_p256_verify(&pub, msg.b, msg.len, raw) == (want == VALID ? ERR_OK : ERR_AUTH);
}

static void test_ecdsa(void **state)
{
    (void)state;
    wycheproof_run("wycheproof/ecdsa_secp256r1_sha256_test.json", 249, ecdsa_row);
}

static void test_sign(void **state)
{
    (void)state;
    struct cr_p256_key *key;
    struct cr_p256_pub pub;
    uint8_t sig[CR_P256_SIG];
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
    for (int i = 0; i < 20; i++) { /* some r or s have leading zeros and shorter DER */
        assert_int_equal(cr_p256_sign(key, "message", 7, sig), ERR_OK);
        assert_int_equal(cr_p256_verify(&pub, "message", 7, sig), ERR_OK);
        assert_int_equal(cr_p256_verify(&pub, "messagE", 7, sig), ERR_AUTH);
    }
    for (size_t i = 0; i < sizeof sig; i++) {
        sig[i] ^= 0x10;
        assert_int_equal(cr_p256_verify(&pub, "message", 7, sig), ERR_AUTH);
        sig[i] ^= 0x10;
    }
    assert_int_equal(cr_p256_sign(key, "", 0, sig), ERR_OK);
    assert_int_equal(cr_p256_verify(&pub, "", 0, sig), ERR_OK);
    cr_p256_free(key);
    cr_p256_free(NULL);
}

/* Zero, the group's order, and above are no keys; one and order - 1 are. source: SEC 2, secp256r1 */
static void test_scalar_range(void **state)
{
    (void)state;
    static const struct {
        const char *name, *hex;
        enum err want;
    } rows[] = {
        {"0", "0000000000000000000000000000000000000000000000000000000000000000", ERR_RANGE},
        {"1", "0000000000000000000000000000000000000000000000000000000000000001", ERR_OK},
        {"n - 1", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550", ERR_OK},
        {"n", "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", ERR_RANGE},
        {"2^256 - 1", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", ERR_RANGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static struct bytes k;
        struct cr_p256_key *key = NULL;
        bytes_from_hex(rows[i].hex, &k);
        enum err e = cr_p256_from_scalar(k.b, &key);
        if (e != rows[i].want || (e != ERR_OK && key))
            fail_msg("scalar %s: %s", rows[i].name, err_name(e));
        cr_p256_free(key);
    }
}

static void test_spki(void **state)
{
    (void)state;
    struct cr_p256_key *key;
    struct cr_p256_pub pub, again;
    uint8_t spki[CR_P256_SPKI], id[CR_KEY_ID], want[CR_SHA256_SIZE];
    char pem[400];
    size_t len;
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
    assert_int_equal(cr_p256_to_spki(&pub, spki), ERR_OK);
    assert_int_equal(cr_p256_from_spki(spki, sizeof spki, &again), ERR_OK);
    assert_memory_equal(pub.point, again.point, CR_P256_POINT);
    assert_int_equal(cr_p256_id(&pub, id), ERR_OK);
    assert_int_equal(cr_sha256(spki, sizeof spki, want), ERR_OK);
    assert_memory_equal(id, want, sizeof id);
    assert_int_equal(cr_p256_pub_to_pem(&pub, pem, sizeof pem, &len), ERR_OK);
    assert_int_equal(cr_p256_pub_to_pem(&pub, pem, len, &len), ERR_FULL);
    assert_int_equal(cr_p256_pub_from_pem(pem, len, &again), ERR_OK);
    assert_memory_equal(pub.point, again.point, CR_P256_POINT);
    assert_int_equal(cr_p256_pub_from_pem(pem, len / 2, &again), ERR_FORMAT);
    for (size_t n = 0; n < sizeof spki; n++)
        assert_int_equal(cr_p256_from_spki(spki, n, &again), ERR_FORMAT);
    for (size_t i = 0; i < sizeof spki; i++) { /* a flipped bit leaves the curve or the header */
        spki[i] ^= 1;
        assert_int_equal(cr_p256_from_spki(spki, sizeof spki, &again), ERR_FORMAT);
        spki[i] ^= 1;
    }
    cr_p256_free(key);
}

/* The hybrid forms of SEC 1 say the sign of Y twice; two encodings of one key would be two key IDs. */
static void test_hybrid(void **state)
{
    (void)state;
    struct cr_p256_key *key;
    struct cr_p256_pub pub;
    uint8_t shared[CR_P256_SHARED];
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
    assert_int_equal(cr_p256_check(&pub), ERR_OK);
    pub.point[0] = 6 + (pub.point[CR_P256_POINT - 1] & 1);
    assert_int_equal(cr_p256_check(&pub), ERR_FORMAT);
    assert_int_equal(cr_p256_ecdh(key, &pub, shared), ERR_FORMAT);
    cr_p256_free(key);
}

/* Made by: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256, and secp384r1 */
static const char p256_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgoceMY/Wz7o4HRhQM\n"
                               "fKz89n7vYcF5nn9BUYgOUr81D2ehRANCAASJkj6eulrUG8xMGQrQtCOd34Cj9I1j\n"
                               "Wr2H5zZZ5CVGTRYpJlHWYkp3u4FtqUPOLg0o+3vc7WfDHIfn1YHwK2+D\n"
                               "-----END PRIVATE KEY-----\n";
static const char p384_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDDtCJAzFaIMDG8L2iry\n"
                               "SbOkUTTIhmSQDt6mKX0BUDj9UYO6tkrUvfBwb4+4iQvUyhihZANiAATUfc1yNL/9\n"
                               "Ex8ZeZiNhQslYplAtr9uzoIXtTbGPHOXDmAh55VhvLolpQ9gWdnXo4qgGZsw+cpL\n"
                               "FExZb5Xcud/E/hO2Cd/nVKRgifPX5JsJLzE0Q4b+4+XzbTRHDufzy/M=\n"
                               "-----END PRIVATE KEY-----\n";

static void test_private_pem(void **state)
{
    (void)state;
    struct cr_p256_key *key, *again;
    struct cr_p256_pub pub, pub2;
    struct secret pass = {.len = 4, .bytes = "pass"}, wrong = {.len = 4, .bytes = "Pass"};
    char pem[1000];
    size_t len;
    assert_int_equal(cr_p256_from_pem(p256_pem, sizeof p256_pem - 1, NULL, &key), ERR_OK);
    assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
    assert_int_equal(cr_p256_to_pem(key, NULL, pem, 100, &len), ERR_FULL);
    for (int sealed = 0; sealed < 2; sealed++) {
        const struct secret *s = sealed ? &pass : NULL;
        assert_int_equal(cr_p256_to_pem(key, s, pem, sizeof pem, &len), ERR_OK);
        assert_int_equal(!!strstr(pem, "ENCRYPTED"), sealed);
        assert_int_equal(cr_p256_from_pem(pem, strlen(pem), s, &again), ERR_OK);
        assert_int_equal(cr_p256_public(again, &pub2), ERR_OK);
        assert_memory_equal(pub.point, pub2.point, CR_P256_POINT);
        cr_p256_free(again);
    }
    len = strlen(pem);
    assert_int_equal(cr_p256_from_pem(pem, len, &wrong, &again), ERR_AUTH);
    assert_int_equal(cr_p256_from_pem(pem, len, NULL, &again), ERR_AUTH);
    assert_int_equal(cr_p256_from_pem(pem, len / 2, &pass, &again), ERR_FORMAT);
    assert_int_equal(cr_p256_from_pem("", 0, NULL, &again), ERR_FORMAT);
    assert_int_equal(cr_p256_from_pem(p384_pem, sizeof p384_pem - 1, NULL, &again), ERR_FORMAT);
    cr_p256_free(key);
}

static void test_random(void **state)
{
    (void)state;
    uint8_t a[64] = {0}, b[64] = {0};
    assert_int_equal(cr_random(a, sizeof a), ERR_OK);
    assert_int_equal(cr_random(b, sizeof b), ERR_OK);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gcm),          cmocka_unit_test(test_ecdh),
        cmocka_unit_test(test_ecdsa),        cmocka_unit_test(test_sign),
        cmocka_unit_test(test_scalar_range), cmocka_unit_test(test_spki),
        cmocka_unit_test(test_private_pem),  cmocka_unit_test(test_random),
        cmocka_unit_test(test_hybrid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
