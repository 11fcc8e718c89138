/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/pki.h"
#include "crypto/hash.h"
#include "crypto/host/no_passphrase.h"
#include "crypto/random.h"
#include "formats/base.h"
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void free_x509(X509 **x)
{
    X509_free(*x);
}
static void free_req(X509_REQ **r)
{
    X509_REQ_free(*r);
}
static void free_bio(BIO **b)
{
    BIO_free(*b);
}

/* 127 random bits: positive, and never twice. */
static enum err set_serial(X509 *x)
{
    uint8_t bytes[16];
    TRY(cr_random(bytes, sizeof bytes));
    bytes[0] &= 0x7f;
    BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
    ASN1_INTEGER *ok = n == NULL ? NULL : BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
    BN_free(n);
    return ok != NULL ? ERR_OK : ERR_NOMEM;
}

static enum err set_name(X509_NAME *name, const char *common)
{
    const unsigned char *text = (const unsigned char *)common;
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, text, -1, -1, 0) == 1 ? ERR_OK
                                                                                                 : ERR_RANGE;
}

static enum err add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    int ok = e == NULL ? 0 : X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
    return ok == 1 ? ERR_OK : ERR_INTERNAL;
}

/* The parts that all three share. A day is taken off the start: clocks differ. */
static enum err fresh(X509 *x, EVP_PKEY *key, const char *common, long days)
{
    if (X509_set_version(x, X509_VERSION_3) != 1 || X509_set_pubkey(x, key) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(x), -86400) == NULL ||
        X509_time_adj_ex(X509_getm_notAfter(x), (int)days, 0, NULL) == NULL)
        return ERR_INTERNAL;
    TRY(set_serial(x));
    return set_name(X509_get_subject_name(x), common);
}

static enum err to_pem(X509 *x, char ret[static PKI_PEM_MAX])
{
    __attribute__((cleanup(free_bio))) BIO *b = BIO_new(BIO_s_mem());
    if (b == NULL || PEM_write_bio_X509(b, x) != 1)
        return ERR_NOMEM;
    char *text = NULL;
    long len = BIO_get_mem_data(b, &text);
    if (len <= 0 || len >= PKI_PEM_MAX)
        return ERR_RANGE;
    memcpy(ret, text, (size_t)len);
    ret[len] = '\0';
    return ERR_OK;
}

static enum err sign(X509 *x, X509 *issuer, const struct cr_p256_key *key, char ret[static PKI_PEM_MAX])
{
    if (X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1)
        return ERR_INTERNAL;
    TRY(add_extension(x, issuer, NID_authority_key_identifier, "keyid:always"));
    if (X509_sign(x, cr_p256_pkey(key), EVP_sha256()) == 0)
        return ERR_INTERNAL;
    return to_pem(x, ret);
}

enum err pki_make_ca(const struct cr_p256_key *key, const char *name, char ret[static PKI_PEM_MAX])
{
    __attribute__((cleanup(free_x509))) X509 *x = X509_new();
    if (x == NULL)
        return ERR_NOMEM;
    TRY(fresh(x, cr_p256_pkey(key), name, PKI_CA_DAYS));
    TRY(add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
    TRY(add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign"));
    TRY(add_extension(x, x, NID_subject_key_identifier, "hash"));
    return sign(x, x, key, ret);
}

static enum err leaf_extensions(X509 *x, X509 *issuer, const char *purpose)
{
    TRY(add_extension(x, issuer, NID_basic_constraints, "critical,CA:FALSE"));
    TRY(add_extension(x, issuer, NID_key_usage, "critical,digitalSignature"));
    TRY(add_extension(x, issuer, NID_ext_key_usage, purpose));
    return add_extension(x, issuer, NID_subject_key_identifier, "hash");
}

static enum err add_host(GENERAL_NAMES *names, const char *host)
{
    uint8_t address[16];
    size_t len = inet_pton(AF_INET, host, address) == 1    ? 4
                 : inet_pton(AF_INET6, host, address) == 1 ? 16
                                                           : 0;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = len > 0 ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    if (name == NULL || value == NULL ||
        ASN1_STRING_set(value, len > 0 ? (const void *)address : host, (int)(len > 0 ? len : strlen(host))) !=
            1) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return ERR_NOMEM;
    }
    GENERAL_NAME_set0_value(name, len > 0 ? GEN_IPADD : GEN_DNS, value);
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return ERR_OK;
    GENERAL_NAME_free(name);
    return ERR_NOMEM;
}

static enum err add_hosts(X509 *x, const char (*hosts)[PKI_HOST_MAX], unsigned n)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    enum err e = names != NULL ? ERR_OK : ERR_NOMEM;
    for (unsigned i = 0; i < n && e == ERR_OK; i++)
        e = add_host(names, hosts[i]);
    if (e == ERR_OK && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        e = ERR_INTERNAL;
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return e;
}

enum err pki_make_server(const struct pki_ca *ca, const struct cr_p256_key *key,
                         const char (*hosts)[PKI_HOST_MAX], unsigned n, char ret[static PKI_PEM_MAX])
{
    __attribute__((cleanup(free_x509))) X509 *x = X509_new(), *issuer = NULL;
    if (x == NULL)
        return ERR_NOMEM;
    TRY(pki_load_cert(ca->pem, &issuer));
    TRY(fresh(x, cr_p256_pkey(key), "Keyholt server", PKI_SERVER_DAYS));
    TRY(leaf_extensions(x, issuer, "serverAuth"));
    TRY(add_hosts(x, hosts, n));
    return sign(x, issuer, ca->key, ret);
}

/* P-256 only: SPKI of an uncompressed point, as everywhere. */
static enum err to_spki(EVP_PKEY *key, uint8_t ret[static CR_P256_SPKI])
{
    uint8_t spki[CR_P256_SPKI + 64], *at = spki;
    struct cr_p256_pub pub;
    int len = key == NULL ? -1 : i2d_PUBKEY(key, NULL);
    if (len != CR_P256_SPKI || i2d_PUBKEY(key, &at) != len)
        return ERR_FORMAT;
    TRY(cr_p256_from_spki(spki, (size_t)len, &pub));
    memcpy(ret, spki, CR_P256_SPKI);
    return ERR_OK;
}

static enum err key_id(EVP_PKEY *key, uint8_t ret[static 32])
{
    uint8_t spki[CR_P256_SPKI];
    TRY(to_spki(key, spki));
    return cr_sha256(spki, sizeof spki, ret);
}

static enum err certify(const struct pki_ca *ca, EVP_PKEY *key, const uint8_t device[static 32],
                        char ret[static PKI_PEM_MAX])
{
    __attribute__((cleanup(free_x509))) X509 *x = X509_new(), *issuer = NULL;
    char name[BASE16_LEN(32) + 1];
    if (x == NULL)
        return ERR_NOMEM;
    TRY(pki_load_cert(ca->pem, &issuer));
    base16_encode(device, 32, name);
    TRY(fresh(x, key, name, PKI_COURIER_DAYS));
    TRY(leaf_extensions(x, issuer, "clientAuth"));
    return sign(x, issuer, ca->key, ret);
}

enum err pki_make_courier(const struct pki_ca *ca, const char *csr, size_t len,
                          const uint8_t device[static 32], char ret[static PKI_PEM_MAX],
                          uint8_t ret_key_id[static 32])
{
    __attribute__((cleanup(free_bio))) BIO *b = BIO_new_mem_buf(csr, (int)len);
    __attribute__((cleanup(free_req))) X509_REQ *req =
        b == NULL ? NULL : PEM_read_bio_X509_REQ(b, NULL, cr_no_passphrase, NULL);
    uint8_t id[32];
    if (req == NULL)
        return ERR_FORMAT;
    EVP_PKEY *key = X509_REQ_get0_pubkey(req);
    TRY(key_id(key, id));
    if (X509_REQ_verify(req, key) != 1)
        return ERR_AUTH;
    TRY(certify(ca, key, device, ret));
    memcpy(ret_key_id, id, 32);
    return ERR_OK;
}

enum err pki_csr_spki(const char *csr, size_t len, uint8_t ret[static CR_P256_SPKI])
{
    __attribute__((cleanup(free_bio))) BIO *b = BIO_new_mem_buf(csr, (int)len);
    __attribute__((cleanup(free_req))) X509_REQ *req =
        b == NULL ? NULL : PEM_read_bio_X509_REQ(b, NULL, cr_no_passphrase, NULL);
    if (req == NULL)
        return ERR_FORMAT;
    EVP_PKEY *key = X509_REQ_get0_pubkey(req);
    if (X509_REQ_verify(req, key) != 1)
        return ERR_AUTH;
    return to_spki(key, ret);
}

enum err pki_renew_courier(const struct pki_ca *ca, const uint8_t *spki, size_t len,
                           const uint8_t device[static 32], char ret[static PKI_PEM_MAX])
{
    struct cr_p256_pub pub;
    const uint8_t *at = spki;
    TRY(cr_p256_from_spki(spki, len, &pub));
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)len);
    if (key == NULL)
        return ERR_FORMAT;
    enum err e = certify(ca, key, device, ret);
    EVP_PKEY_free(key);
    return e;
}
