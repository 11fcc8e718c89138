/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/host/no_passphrase.h"
#include "escrow-server/pki.h"
#include "formats/base.h"
#include <limits.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

/* What a certificate says; pki.c makes them. */

enum err pki_load_cert(const char *pem, struct x509_st **ret)
{
    BIO *b = BIO_new_mem_buf(pem, -1);
    if (b == NULL)
        return ERR_NOMEM;
    X509 *x = PEM_read_bio_X509(b, NULL, cr_no_passphrase, NULL);
    BIO_free(b);
    if (x == NULL)
        return ERR_FORMAT;
    *ret = x;
    return ERR_OK;
}

/* As it stands in the certificate: i2d_PUBKEY() would make it anew, at a fifth of the cost of a handshake. */
static enum err spki_of(const X509 *cert, uint8_t ret[static CR_P256_SPKI])
{
    X509_PUBKEY *key = X509_get_X509_PUBKEY(cert);
    int len = key == NULL ? -1 : i2d_X509_PUBKEY(key, NULL);
    return len == CR_P256_SPKI && i2d_X509_PUBKEY(key, &ret) == len ? ERR_OK : ERR_FORMAT;
}

enum err pki_courier_due(const struct x509_st *cert, bool *ret_due, uint8_t ret_spki[static CR_P256_SPKI])
{
    int days, seconds, days_left, seconds_left;
    const ASN1_TIME *end = X509_get0_notAfter(cert);
    if (ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), end) != 1 ||
        ASN1_TIME_diff(&days_left, &seconds_left, NULL, end) != 1)
        return ERR_FORMAT;
    int64_t life = (int64_t)days * 86400 + seconds, left = (int64_t)days_left * 86400 + seconds_left;
    bool due = left * 3 < life;
    if (due)
        TRY(spki_of(cert, ret_spki));
    *ret_due = due;
    return ERR_OK;
}

enum err pki_read_courier(const struct x509_st *cert, uint8_t ret_device[static 32],
                          uint8_t ret_key_id[static 32])
{
    uint8_t device[32];
    size_t len;
    const X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    const ASN1_STRING *text = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    if (text == NULL)
        return ERR_FORMAT;
    TRY(base16_decode((const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text), device,
                      sizeof device, &len));
    if (len != sizeof device)
        return ERR_FORMAT;
    uint8_t spki[CR_P256_SPKI];
    TRY(spki_of(cert, spki));
    TRY(cr_sha256(spki, sizeof spki, ret_key_id));
    memcpy(ret_device, device, sizeof device);
    return ERR_OK;
}

static enum err since(const X509 *cert, uint64_t *ret)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notBefore(cert), &tm) != 1)
        return ERR_FORMAT;
    time_t at = timegm(&tm);
    *ret = at < 0 ? 0 : (uint64_t)at;
    return ERR_OK;
}

enum err pki_check_courier(const char *ca_pem, const uint8_t *der, size_t len, uint8_t ret_device[static 32],
                           uint8_t ret_key_id[static 32], uint64_t *ret_since)
{
    const uint8_t *p = der;
    X509 *ca = NULL;
    TRY(pki_load_cert(ca_pem, &ca));
    X509 *cert = len > INT_MAX ? NULL : d2i_X509(NULL, &p, (long)len);
    enum err e = cert == NULL || p != der + len ? ERR_FORMAT : ERR_OK;
    if (e == ERR_OK && (X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(ca)) != 0 ||
                        X509_verify(cert, X509_get0_pubkey(ca)) != 1))
        e = ERR_AUTH;
    if (e == ERR_OK)
        e = pki_read_courier(cert, ret_device, ret_key_id);
    if (e == ERR_OK)
        e = since(cert, ret_since);
    X509_free(cert);
    X509_free(ca);
    return e;
}
