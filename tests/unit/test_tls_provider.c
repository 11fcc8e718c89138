/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lean OpenSSL of the web workers: it reads P-256 certificates as the whole one does, and no more. */
#include "crypto/p256.h"
#include "escrow-server/pki.h"
#include "escrow-server/web/tls_provider.h"
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static X509 *new_cert(void)
{
    struct cr_p256_key *key = NULL;
    char pem[PKI_PEM_MAX];
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    assert_int_equal(pki_make_ca(key, "CA", pem), ERR_OK);
    cr_p256_free(key);
    BIO *b = BIO_new_mem_buf(pem, -1);
    X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
    BIO_free(b);
    assert_non_null(cert);
    return cert;
}

/* What the lean context reads of a certificate, the whole of OpenSSL reads as well, and the same. */
static void compare(OSSL_LIB_CTX *lean, const uint8_t *der, size_t len, bool *ret_read)
{
    const uint8_t *a = der, *b = der;
    X509 *whole = X509_new(), *ours = X509_new_ex(lean, NULL);
    bool in_whole = d2i_X509(&whole, &a, (long)len) != NULL, in_ours = d2i_X509(&ours, &b, (long)len) != NULL;
    assert_int_equal(in_whole, in_ours);
    EVP_PKEY *theirs = in_whole ? X509_get0_pubkey(whole) : NULL,
             *key = in_ours ? X509_get0_pubkey(ours) : NULL;
    *ret_read = key != NULL;
    if (key != NULL) {
        assert_non_null(theirs);
        assert_int_equal(EVP_PKEY_eq(theirs, key), 1);
    }
    if (in_whole)
        X509_free(whole);
    if (in_ours)
        X509_free(ours);
    ERR_clear_error();
}

static void test_broken_certificates(void **state)
{
    OSSL_LIB_CTX *lean = NULL;
    uint8_t *der = NULL;
    bool read;
    unsigned n_read = 0;
    (void)state;
    assert_int_equal(tls_provider_open(&lean), ERR_OK);
    X509 *cert = new_cert();
    int len = i2d_X509(cert, &der);
    assert_true(len > 200);
    compare(lean, der, (size_t)len, &read);
    assert_true(read);
    for (int i = 0; i < len; i++) {
        compare(lean, der, (size_t)i, &read);
        assert_false(read);
        for (unsigned bit = 0; bit < 8; bit += 3) {
            der[i] ^= (uint8_t)(1u << bit);
            compare(lean, der, (size_t)len, &read);
            n_read += read;
            der[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_true(n_read > 0); /* what is changed in the name or in the signature */
    OPENSSL_free(der);
    X509_free(cert);
}

/* What a handshake does not need is not there: whoever adds to it pays at every handshake. */
static void test_what_there_is(void **state)
{
    static const struct {
        const char *digest;
        bool there;
    } table[] = {{"SHA256", true}, {"SHA384", true}, {"SHA3-256", false}, {"MD5", false}};
    OSSL_LIB_CTX *lean = NULL;
    (void)state;
    assert_int_equal(tls_provider_open(&lean), ERR_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        EVP_MD *md = EVP_MD_fetch(lean, table[i].digest, NULL);
        if ((md != NULL) != table[i].there)
            fail_msg("%s", table[i].digest);
        EVP_MD_free(md);
    }
    EVP_PKEY *rsa = EVP_PKEY_Q_keygen(lean, NULL, "RSA", (size_t)2048);
    assert_null(rsa);
}

/* The key schedule's steps: what OpenSSL's own "TLS13-KDF" makes of the same parameters, ours makes too. */
struct step {
    const char *digest;
    int mode;
    size_t key, salt, label, data, out; /* lengths; 0: not given */
};

static int derive(OSSL_LIB_CTX *libctx, const struct step *s, uint8_t *out)
{
    static const char label[] = "c hs traffic and then a label that is longer than most";
    uint8_t bytes[256];
    int mode = s->mode;
    char digest[16];
    OSSL_PARAM params[8], *p = params;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i + 5);
    snprintf(digest, sizeof digest, "%s", s->digest);
    *p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    *p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    if (s->key > 0)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, bytes, s->key);
    if (s->salt > 0)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, bytes + 1, s->salt);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, (void *)(uintptr_t) "tls13 ", 6);
    *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)(uintptr_t)label, s->label);
    if (s->data > 0)
        *p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_DATA, bytes + 2, s->data);
    *p = OSSL_PARAM_construct_end();
    EVP_KDF *kdf = EVP_KDF_fetch(libctx, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    assert_non_null(ctx);
    int ok = EVP_KDF_derive(ctx, out, s->out, params);
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    ERR_clear_error();
    return ok > 0;
}

static void test_key_schedule(void **state)
{
    static const struct step table[] = {
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 0, 0, 7, 0, 32}, /* early secret */
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 32, 0, 7, 0, 32},
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 32, 32, 7, 0, 32}, /* handshake secret */
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 0, 32, 7, 0, 32},  /* master secret */
        {"SHA256", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 48, 32, 7, 0, 32},
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 32, 0, 12, 32, 32}, /* traffic secret */
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 32, 0, 3, 0, 16},   /* key */
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 32, 0, 2, 0, 12},   /* IV */
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 32, 0, 53, 64, 32},
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 32, 0, 12, 32, 33}, /* two blocks: handed on */
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 0, 0, 12, 32, 32},  /* without a secret */
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 32, 32, 7, 0, 31},
        {"SHA2-256", EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, 32, 32, 7, 0, 32},
        {"SHA2-384", EVP_KDF_HKDF_MODE_EXTRACT_ONLY, 32, 48, 7, 0, 48},
        {"SHA2-384", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 48, 0, 12, 48, 48},
        {"SHA2-512", EVP_KDF_HKDF_MODE_EXPAND_ONLY, 64, 0, 12, 64, 64},
    };
    OSSL_LIB_CTX *lean = NULL;
    unsigned n_derived = 0;
    (void)state;
    assert_int_equal(tls_provider_open(&lean), ERR_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t ours[64] = {0}, theirs[64] = {0};
        int derived = derive(NULL, &table[i], theirs);
        n_derived += derived;
        if (derive(lean, &table[i], ours) != derived || memcmp(ours, theirs, sizeof ours) != 0)
            fail_msg("step %zu", i);
    }
    assert_true(n_derived >= 12);
}

/* HMAC as libssl asks for it, of OpenSSL's own and of ours. Returns the length; 0: refused */
static size_t mac(OSSL_LIB_CTX *libctx, const char *digest, size_t key_len, size_t text_len, uint8_t out[64])
{
    uint8_t bytes[160];
    size_t len = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
    const void *done =
        EVP_Q_mac(libctx, "HMAC", NULL, digest, NULL, bytes, key_len, bytes + 1, text_len, out, 64, &len);
    ERR_clear_error();
    return done == NULL ? 0 : len;
}

static size_t sign(OSSL_LIB_CTX *libctx, const char *digest, size_t key_len, size_t text_len, uint8_t out[64])
{
    uint8_t bytes[160];
    size_t len = 64;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + 3);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key_ex(libctx, "HMAC", NULL, bytes, key_len);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key != NULL && EVP_DigestSignInit_ex(ctx, NULL, digest, libctx, NULL, key, NULL) > 0 &&
              EVP_DigestSignUpdate(ctx, bytes + 1, text_len / 2) > 0 &&
              EVP_DigestSignUpdate(ctx, bytes + 1 + text_len / 2, text_len - text_len / 2) > 0 &&
              EVP_DigestSignFinal(ctx, out, &len) > 0;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok ? len : 0;
}

static void test_hmac(void **state)
{
    static const struct {
        const char *digest;
        size_t key, text, size;
    } table[] = {{"SHA2-256", 32, 32, 32}, {"SHA256", 1, 0, 32},    {"SHA2-256", 64, 64, 32},
                 {"SHA2-384", 48, 48, 48}, {"SHA384", 32, 1, 48},   {"SHA2-256", 65, 1, 0},
                 {"SHA2-256", 32, 65, 0},  {"SHA2-384", 65, 48, 0}, {"SHA2-384", 48, 65, 0},
                 {"SHA2-512", 32, 32, 0},  {"SHA1", 32, 32, 0}};
    OSSL_LIB_CTX *lean = NULL;
    (void)state;
    assert_int_equal(tls_provider_open(&lean), ERR_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t want[64], got[64], signature[64];
        size_t all = mac(NULL, table[i].digest, table[i].key, table[i].text, want);
        size_t len = mac(lean, table[i].digest, table[i].key, table[i].text, got);
        size_t signed_len = sign(lean, table[i].digest, table[i].key, table[i].text, signature);
        if (all == 0 || len != table[i].size || signed_len != len || memcmp(got, want, len) != 0 ||
            memcmp(signature, want, len) != 0)
            fail_msg("row %zu", i);
    }
}

/* A pair of ours is one of OpenSSL's: its public half is what the whole one makes of its secret half. */
static void test_x25519(void **state)
{
    uint8_t before[32] = {0};
    OSSL_LIB_CTX *lean = NULL;
    (void)state;
    assert_int_equal(tls_provider_open(&lean), ERR_OK);
    for (unsigned i = 0; i < 20; i++) {
        uint8_t secret[32], ours[32], theirs[32];
        size_t secret_len = sizeof secret, ours_len = sizeof ours, theirs_len = sizeof theirs;
        EVP_PKEY *pair = EVP_PKEY_Q_keygen(lean, NULL, "X25519");
        assert_non_null(pair);
        assert_int_equal(EVP_PKEY_get_raw_private_key(pair, secret, &secret_len), 1);
        assert_int_equal(EVP_PKEY_get_raw_public_key(pair, ours, &ours_len), 1);
        EVP_PKEY *same = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, secret_len);
        assert_int_equal(EVP_PKEY_get_raw_public_key(same, theirs, &theirs_len), 1);
        assert_memory_equal(ours, theirs, sizeof ours);
        assert_memory_not_equal(secret, before, sizeof secret);
        memcpy(before, secret, sizeof before);
        EVP_PKEY_free(pair);
        EVP_PKEY_free(same);
    }
}

static void test_random(void **state)
{
    uint8_t a[1000] = {0}, b[1000] = {0}, none[32] = {0};
    (void)state;
    assert_int_equal(RAND_bytes(a, sizeof a), 1);
    assert_int_equal(RAND_priv_bytes(b, sizeof b), 1);
    assert_memory_not_equal(a, b, sizeof none);
    assert_memory_not_equal(a + sizeof a - sizeof none, none, sizeof none);
    assert_int_equal(RAND_status(), 1);
    assert_int_equal(RAND_bytes(a, 0), 1);
    for (size_t i = 0; i + 40 <= sizeof a; i += 40) /* beyond what is asked of the kernel at once */
        assert_int_equal(RAND_bytes(a + i, 40), 1);
    for (size_t i = 0; i + 8 <= sizeof a; i += 8)
        for (size_t j = 0; j < i; j += 8)
            assert_memory_not_equal(a + i, a + j, 8);
}

/* One key has several forms. Ours is the one that couriers enrol with; no other makes a key of another one.
 */
static void test_forms_of_a_key(void **state)
{
    static const struct {
        const char *form;
        bool read;
    } table[] = {{"uncompressed", true}, {"compressed", false}, {"hybrid", false}};
    OSSL_LIB_CTX *lean = NULL;
    (void)state;
    assert_int_equal(tls_provider_open(&lean), ERR_OK);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t *der = NULL;
        assert_int_equal(
            EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, table[i].form),
            1);
        int len = i2d_PUBKEY(key, &der);
        const uint8_t *p = der;
        EVP_PKEY *got = d2i_PUBKEY_ex(NULL, &p, len, lean, NULL);
        if ((got != NULL) != table[i].read || (got != NULL && EVP_PKEY_eq(got, key) != 1))
            fail_msg("%s", table[i].form);
        EVP_PKEY_free(got);
        OPENSSL_free(der);
        ERR_clear_error();
    }
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_certificates),
        cmocka_unit_test(test_what_there_is),
        cmocka_unit_test(test_key_schedule),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_x25519),
        cmocka_unit_test(test_forms_of_a_key),
    };
    if (tls_provider_begin() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
