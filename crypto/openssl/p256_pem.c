/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/openssl/p256_key.h"
#include "crypto/openssl/quiet.h"
#include <limits.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

/* The offline root and desk keys lie on media that may be lost: OWASP's 2023 count for PBKDF2-SHA256. Only
 * the sanitized build takes fewer: OpenSSL allocates in each of them, which costs four times as much there.
 */
#ifndef PEM_ITERATIONS
#define PEM_ITERATIONS 600000
#endif

/* SubjectPublicKeyInfo of id-ecPublicKey on prime256v1, up to the point. source: RFC 5480 section 2 */
static const uint8_t spki_head[CR_P256_SPKI - CR_P256_POINT] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

enum err cr_p256_to_spki(const struct cr_p256_pub *pub, uint8_t ret[static CR_P256_SPKI])
{
    memcpy(ret, spki_head, sizeof spki_head);
    memcpy(ret + sizeof spki_head, pub->point, CR_P256_POINT);
    return ERR_OK;
}

enum err cr_p256_from_spki(const uint8_t *der, size_t len, struct cr_p256_pub *ret)
{
    struct cr_p256_pub pub;
    if (len != CR_P256_SPKI || memcmp(der, spki_head, sizeof spki_head) != 0)
        return ERR_FORMAT;
    memcpy(pub.point, der + sizeof spki_head, CR_P256_POINT);
    TRY(cr_p256_check(&pub));
    *ret = pub;
    return ERR_OK;
}

enum err cr_p256_id(const struct cr_p256_pub *pub, uint8_t ret[static CR_KEY_ID])
{
    uint8_t spki[CR_P256_SPKI];
    TRY(cr_p256_to_spki(pub, spki));
    return cr_sha256(spki, sizeof spki, ret);
}

/* The first PEM block of a text. *ret_name and *ret_data are OPENSSL_free()d by the caller. */
static enum err pem_block(const char *pem, size_t len, char **ret_name, uint8_t **ret_data, long *ret_len)
{
    char *header = NULL;
    BIO *bio = len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    int ok = bio && PEM_read_bio(bio, ret_name, &header, ret_data, ret_len);
    OPENSSL_free(header);
    BIO_free(bio);
    return ok ? ERR_OK : ERR_FORMAT;
}

enum err cr_p256_pub_from_pem(const char *pem, size_t len, struct cr_p256_pub *ret)
{
    OPENSSL_QUIET();
    char *name = NULL;
    uint8_t *data = NULL;
    long n = 0;
    TRY(pem_block(pem, len, &name, &data, &n));
    enum err e = strcmp(name, PEM_STRING_PUBLIC) == 0 ? cr_p256_from_spki(data, (size_t)n, ret) : ERR_FORMAT;
    OPENSSL_free(name);
    OPENSSL_free(data);
    return e;
}

/* What a memory BIO holds, into the caller's buffer with a zero byte behind. */
static enum err bio_text(BIO *bio, char *ret, size_t cap, size_t *ret_len)
{
    char *text;
    long n = BIO_get_mem_data(bio, &text);
    if (n <= 0)
        return ERR_INTERNAL;
    if ((size_t)n >= cap)
        return ERR_FULL;
    memcpy(ret, text, (size_t)n);
    ret[n] = 0;
    *ret_len = (size_t)n;
    return ERR_OK;
}

enum err cr_p256_pub_to_pem(const struct cr_p256_pub *pub, char *ret, size_t cap, size_t *ret_len)
{
    uint8_t spki[CR_P256_SPKI];
    TRY(cr_p256_to_spki(pub, spki));
    BIO *bio = BIO_new(BIO_s_mem());
    enum err e = ERR_NOMEM;
    if (bio && PEM_write_bio(bio, PEM_STRING_PUBLIC, "", spki, sizeof spki) > 0)
        e = bio_text(bio, ret, cap, ret_len);
    BIO_free(bio);
    return e;
}

/* Decrypt a PKCS#8 EncryptedPrivateKeyInfo. */
static enum err open_encrypted(const uint8_t *der, long len, const struct secret *passphrase,
                               PKCS8_PRIV_KEY_INFO **ret)
{
    X509_SIG *sealed = d2i_X509_SIG(NULL, &der, len);
    if (!sealed)
        return ERR_FORMAT;
    PKCS8_PRIV_KEY_INFO *p8 = NULL;
    if (passphrase)
        p8 = PKCS8_decrypt(sealed, (const char *)passphrase->bytes, (int)passphrase->len);
    X509_SIG_free(sealed);
    if (!p8)
        return ERR_AUTH;
    *ret = p8;
    return ERR_OK;
}

static enum err open_block(const char *name, const uint8_t *der, long len, const struct secret *passphrase,
                           PKCS8_PRIV_KEY_INFO **ret)
{
    if (strcmp(name, PEM_STRING_PKCS8) == 0)
        return open_encrypted(der, len, passphrase, ret);
    if (strcmp(name, PEM_STRING_PKCS8INF) != 0)
        return ERR_FORMAT;
    return (*ret = d2i_PKCS8_PRIV_KEY_INFO(NULL, &der, len)) ? ERR_OK : ERR_FORMAT;
}

/* Built anew from the scalar alone, so a file whose public half does not fit makes no key that lies. */
static enum err key_of(const PKCS8_PRIV_KEY_INFO *p8, struct cr_p256_key **ret)
{
    uint8_t scalar[CR_P256_SCALAR];
    EVP_PKEY *pkey = EVP_PKCS82PKEY(p8);
    enum err e = pkey ? p256_scalar(pkey, scalar) : ERR_FORMAT;
    if (e == ERR_OK)
        e = cr_p256_from_scalar(scalar, ret);
    EVP_PKEY_free(pkey);
    cr_wipe(scalar, sizeof scalar);
    return e == ERR_RANGE ? ERR_FORMAT : e;
}

enum err cr_p256_from_pem(const char *pem, size_t len, const struct secret *passphrase,
                          struct cr_p256_key **ret)
{
    OPENSSL_QUIET();
    char *name = NULL;
    uint8_t *data = NULL;
    long n = 0;
    PKCS8_PRIV_KEY_INFO *p8 = NULL;
    TRY(pem_block(pem, len, &name, &data, &n));
    enum err e = open_block(name, data, n, passphrase, &p8);
    OPENSSL_free(name);
    OPENSSL_clear_free(data, (size_t)n);
    if (e == ERR_OK)
        e = key_of(p8, ret);
    PKCS8_PRIV_KEY_INFO_free(p8); /* clears the key octets */
    return e;
}

/* Write PKCS#8 to a BIO, encrypted when there is a passphrase. */
static int write_pkcs8(BIO *bio, PKCS8_PRIV_KEY_INFO *p8, const struct secret *passphrase)
{
    if (!passphrase)
        return PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, p8);
    /* -1: PBES2, whose default PRF is HMAC-SHA256 */
    X509_SIG *sealed = PKCS8_encrypt(-1, EVP_aes_256_cbc(), (const char *)passphrase->bytes,
                                     (int)passphrase->len, NULL, 0, PEM_ITERATIONS, p8);
    int ok = sealed && PEM_write_bio_PKCS8(bio, sealed);
    X509_SIG_free(sealed);
    return ok;
}

enum err cr_p256_to_pem(const struct cr_p256_key *key, const struct secret *passphrase, char *ret, size_t cap,
                        size_t *ret_len)
{
    if (!key->pkey) /* it is outside */
        return ERR_UNSUPPORTED;
    PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(key->pkey);
    BIO *bio = BIO_new(BIO_s_secmem()); /* clears what it held */
    enum err e = ERR_NOMEM;
    if (p8 && bio && write_pkcs8(bio, p8, passphrase))
        e = bio_text(bio, ret, cap, ret_len);
    BIO_free(bio);
    PKCS8_PRIV_KEY_INFO_free(p8);
    return e;
}
