/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier_certificate.h"
#include "crypto/host/no_passphrase.h"
#include "formats/base.h"
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define PEM_TEXT_MAX 16384

static enum err hash_key(EVP_PKEY *key, uint8_t ret[static CR_SHA256_SIZE])
{
    uint8_t *der = NULL;
    int len = key ? i2d_PUBKEY(key, &der) : -1;
    if (len <= 0)
        return ERR_FORMAT;
    enum err e = cr_sha256(der, (size_t)len, ret);
    OPENSSL_free(der);
    return e;
}

enum err courier_csr_key(const uint8_t *pem, size_t len, uint8_t ret[static CR_SHA256_SIZE])
{
    if (len > PEM_TEXT_MAX)
        return ERR_FORMAT;
    BIO *in = BIO_new_mem_buf(pem, (int)len);
    X509_REQ *req = in ? PEM_read_bio_X509_REQ(in, NULL, cr_no_passphrase, NULL) : NULL;
    EVP_PKEY *key = req ? X509_REQ_get0_pubkey(req) : NULL;
    enum err e = !key ? ERR_FORMAT : X509_REQ_verify(req, key) == 1 ? hash_key(key, ret) : ERR_AUTH;
    X509_REQ_free(req);
    BIO_free(in);
    return e;
}

static X509 *read_certificate(const void *pem, size_t len)
{
    BIO *in = len <= PEM_TEXT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    X509 *x = in ? PEM_read_bio_X509(in, NULL, cr_no_passphrase, NULL) : NULL;
    BIO_free(in);
    return x;
}

static bool is_issued_by(X509 *x, X509 *ca)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    bool good = store && ctx && X509_STORE_add_cert(store, ca) == 1 &&
                X509_STORE_CTX_init(ctx, store, x, NULL) == 1 &&
                X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) == 1;
    if (good) {
        /* the CA of org.json is the anchor, even if somebody else signed it */
        X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
        good = X509_verify_cert(ctx) == 1;
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return good;
}

static bool is_for(X509 *x, const uint8_t device[static 32], const uint8_t *key)
{
    char want[BASE16_LEN(32) + 1];
    uint8_t hash[CR_SHA256_SIZE];
    X509_NAME *name = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return false;
    const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    base16_encode(device, 32, want);
    return (size_t)ASN1_STRING_length(cn) == strlen(want) &&
           memcmp(ASN1_STRING_get0_data(cn), want, strlen(want)) == 0 &&
           hash_key(X509_get0_pubkey(x), hash) == ERR_OK && (!key || memcmp(hash, key, sizeof hash) == 0);
}

enum err courier_certificate_check(const uint8_t *pem, size_t len, const char *ca,
                                   const uint8_t device[static 32], const uint8_t *key)
{
    X509 *x = read_certificate(pem, len), *issuer = read_certificate(ca, strlen(ca));
    enum err e = ERR_OK;
    if (!x || !issuer)
        e = ERR_FORMAT;
    else if (!is_issued_by(x, issuer))
        e = ERR_AUTH;
    else if (!is_for(x, device, key))
        e = ERR_CONFLICT;
    X509_free(x);
    X509_free(issuer);
    return e;
}
