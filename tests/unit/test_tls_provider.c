/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The lean OpenSSL of the web workers: it reads P-256 certificates as the whole one does, and no more. */
#include "crypto/p256.h"
#include "escrow-server/pki.h"
#include "escrow-server/web/tls_provider.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_certificates),
        cmocka_unit_test(test_what_there_is),
    };
    if (tls_provider_begin() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
