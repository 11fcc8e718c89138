/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/hpke.h"
#include "tests/unit/test_crypto_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEM_P256    16
#define KDF_SHA256  1
#define AEAD_256GCM 2

/* Call row() for every vector of this KEM; with all, whatever its AEAD. Returns how many there were. */
static unsigned each(bool all, void (*row)(struct json_object *vector))
{
    unsigned n = 0;
    struct json_object *doc = data_load("hpke/rfc9180-base-mode.json");
    for (size_t i = 0; i < json_object_array_length(doc); i++) {
        struct json_object *v = json_object_array_get_idx(doc, i);
        if (int_get(v, "mode") != 0 || int_get(v, "kem_id") != KEM_P256 || int_get(v, "kdf_id") != KDF_SHA256)
            continue;
        if (!all && int_get(v, "aead_id") != AEAD_256GCM)
            continue;
        row(v);
        n++;
    }
    json_object_put(doc);
    return n;
}

static struct cr_p256_key *key_of(struct json_object *v, const char *name)
{
    struct bytes k;
    struct cr_p256_key *key = NULL;
    bytes_get(v, name, &k);
    assert_int_equal(k.len, CR_P256_SCALAR);
    assert_int_equal(cr_p256_from_scalar(k.b, &key), ERR_OK);
    return key;
}

static void derive_row(struct json_object *v)
{
    const char *const names[][2] = {{"ikmE", "pkEm"}, {"ikmR", "pkRm"}};
    for (size_t i = 0; i < 2; i++) {
        struct bytes ikm, want;
        struct cr_p256_key *key;
        struct cr_p256_pub pub;
        bytes_get(v, names[i][0], &ikm);
        bytes_get(v, names[i][1], &want);
        assert_int_equal(cr_hpke_derive_key(ikm.b, ikm.len, &key), ERR_OK);
        assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
        assert_int_equal(want.len, CR_P256_POINT);
        assert_true(same_bytes(names[i][1], pub.point, want.b, want.len));
        cr_p256_free(key);
    }
}

static void test_derive(void **state)
{
    (void)state;
    assert_int_equal(each(true, derive_row), 3); /* key pairs do not depend on the AEAD */
}

static void check_context(const char *who, const struct cr_hpke_ctx *ctx, struct json_object *v)
{
    struct bytes key, nonce, exporter;
    bytes_get(v, "key", &key);
    bytes_get(v, "base_nonce", &nonce);
    bytes_get(v, "exporter_secret", &exporter);
    assert_true(same_bytes(who, ctx->key, key.b, sizeof ctx->key));
    assert_true(same_bytes(who, ctx->base_nonce, nonce.b, sizeof ctx->base_nonce));
    assert_true(same_bytes(who, ctx->exporter, exporter.b, sizeof ctx->exporter));
}

static void check_encryptions(struct cr_hpke_ctx *sender, struct cr_hpke_ctx *receiver, struct json_object *v)
{
    struct json_object *list = json_object_object_get(v, "encryptions");
    assert_true(json_object_array_length(list) >= 8);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        struct bytes aad, pt, ct;
        uint8_t got[BYTES_MAX];
        bytes_get(one, "aad", &aad);
        bytes_get(one, "pt", &pt);
        bytes_get(one, "ct", &ct);
        assert_int_equal(ct.len, pt.len + CR_HPKE_TAG);
        assert_int_equal(cr_hpke_ctx_seal(sender, aad.b, aad.len, pt.b, pt.len, got), ERR_OK);
        assert_true(same_bytes(text_get(one, "nonce"), got, ct.b, ct.len));
        assert_int_equal(cr_hpke_ctx_open(receiver, aad.b, aad.len, ct.b, ct.len, got), ERR_OK);
        assert_true(same_bytes(text_get(one, "nonce"), got, pt.b, pt.len));
    }
}

/* Export(context, L) by hand: Keyholt exports nothing, but the exporter secret shows only so. */
static void check_exports(const struct cr_hpke_ctx *ctx, struct json_object *v)
{
    struct json_object *list = json_object_object_get(v, "exports");
    assert_true(json_object_array_length(list) > 0);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        struct bytes context, want;
        uint8_t got[64];
        bytes_get(one, "exporter_context", &context);
        bytes_get(one, "exported_value", &want);
        const uint8_t len[2] = {0, (uint8_t)want.len};
        const struct cr_part info[] = {
            {len, 2}, {"HPKE-v1HPKE\x00\x10\x00\x01\x00\x02sec", 20}, {context.b, context.len}};
        assert_int_equal(cr_hkdf_expand(CR_SHA256, ctx->exporter, info, 3, got, want.len), ERR_OK);
        assert_true(same_bytes("export", got, want.b, want.len));
    }
}

static void suite_row(struct json_object *v)
{
    struct bytes info, want;
    struct cr_hpke_ctx sender, receiver;
    struct cr_p256_pub to;
    uint8_t enc[CR_HPKE_ENC];
    struct cr_p256_key *ephemeral = key_of(v, "skEm"), *key = key_of(v, "skRm");
    bytes_get(v, "info", &info);
    bytes_get(v, "enc", &want);
    assert_int_equal(cr_p256_public(key, &to), ERR_OK);
    assert_int_equal(cr_hpke_setup_sender(ephemeral, &to, info.b, info.len, enc, &sender), ERR_OK);
    assert_true(same_bytes("enc", enc, want.b, sizeof enc));
    assert_int_equal(cr_hpke_setup_receiver(key, enc, info.b, info.len, &receiver), ERR_OK);
    check_context("sender", &sender, v);
    check_context("receiver", &receiver, v);
    check_encryptions(&sender, &receiver, v);
    check_exports(&receiver, v);
    cr_p256_free(ephemeral);
    cr_p256_free(key);
}

static void test_suite(void **state)
{
    (void)state;
    assert_int_equal(each(false, suite_row), 1);
}

static void single_row(struct json_object *v)
{
    struct bytes info, aad, pt, ct;
    struct cr_p256_pub to;
    uint8_t enc[CR_HPKE_ENC], got[BYTES_MAX];
    struct json_object *first = json_object_array_get_idx(json_object_object_get(v, "encryptions"), 0);
    struct cr_p256_key *ephemeral = key_of(v, "skEm"), *key = key_of(v, "skRm");
    bytes_get(v, "info", &info);
    bytes_get(first, "aad", &aad);
    bytes_get(first, "pt", &pt);
    bytes_get(first, "ct", &ct);
    assert_int_equal(cr_p256_public(key, &to), ERR_OK);
    assert_int_equal(
        cr_hpke_seal_with(ephemeral, &to, info.b, info.len, aad.b, aad.len, pt.b, pt.len, enc, got), ERR_OK);
    assert_true(same_bytes("single seal", got, ct.b, ct.len));
    assert_int_equal(cr_hpke_open(key, enc, info.b, info.len, aad.b, aad.len, ct.b, ct.len, got), ERR_OK);
    assert_true(same_bytes("single open", got, pt.b, pt.len));
    cr_p256_free(ephemeral);
    cr_p256_free(key);
}

static void test_single(void **state)
{
    (void)state;
    assert_int_equal(each(false, single_row), 1);
}

/* Everything that goes in is bound: one changed bit anywhere and it does not open. */
static void test_bound(void **state)
{
    (void)state;
    struct cr_p256_key *key, *other;
    struct cr_p256_pub to;
    uint8_t enc[CR_HPKE_ENC], ct[16 + CR_HPKE_TAG], pt[16], info[] = "info", aad[] = "aad";
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    assert_int_equal(cr_p256_generate(&other), ERR_OK);
    assert_int_equal(cr_p256_public(key, &to), ERR_OK);
    assert_int_equal(cr_hpke_seal(&to, info, 4, aad, 3, "sixteen bytes...", 16, enc, ct), ERR_OK);
    assert_int_equal(cr_hpke_open(key, enc, info, 4, aad, 3, ct, sizeof ct, pt), ERR_OK);
    assert_memory_equal(pt, "sixteen bytes...", 16);
    assert_int_equal(cr_hpke_open(other, enc, info, 4, aad, 3, ct, sizeof ct, pt), ERR_AUTH);
    assert_int_equal(cr_hpke_open(key, enc, info, 3, aad, 3, ct, sizeof ct, pt), ERR_AUTH);
    assert_int_equal(cr_hpke_open(key, enc, info, 4, aad, 2, ct, sizeof ct, pt), ERR_AUTH);
    for (size_t n = 0; n < sizeof ct; n++)
        assert_int_equal(cr_hpke_open(key, enc, info, 4, aad, 3, ct, n, pt), ERR_AUTH);
    for (size_t i = 0; i < sizeof ct; i++) {
        ct[i] ^= 1;
        assert_int_equal(cr_hpke_open(key, enc, info, 4, aad, 3, ct, sizeof ct, pt), ERR_AUTH);
        ct[i] ^= 1;
    }
    for (size_t i = 0; i < sizeof enc; i++) {
        enc[i] ^= 1; /* no longer a point of the curve */
        assert_int_equal(cr_hpke_open(key, enc, info, 4, aad, 3, ct, sizeof ct, pt), ERR_FORMAT);
        enc[i] ^= 1;
    }
    cr_p256_free(key);
    cr_p256_free(other);
}

/* A fresh ephemeral key each time: the same message is never sealed to the same bytes. */
static void test_fresh(void **state)
{
    (void)state;
    struct cr_p256_key *key;
    struct cr_p256_pub to;
    uint8_t enc[2][CR_HPKE_ENC], ct[2][4 + CR_HPKE_TAG];
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    assert_int_equal(cr_p256_public(key, &to), ERR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(cr_hpke_seal(&to, "", 0, "", 0, "same", 4, enc[i], ct[i]), ERR_OK);
    assert_memory_not_equal(enc[0], enc[1], sizeof enc[0]);
    assert_memory_not_equal(ct[0], ct[1], sizeof ct[0]);
    cr_p256_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derive), cmocka_unit_test(test_suite), cmocka_unit_test(test_single),
        cmocka_unit_test(test_bound),  cmocka_unit_test(test_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
