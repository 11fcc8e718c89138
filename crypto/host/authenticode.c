/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/authenticode.h"
#include "crypto/openssl/quiet.h"
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

/* SpcIndirectDataContent ends with a DigestInfo: this, and the digest. source: RFC 8017 section 9.2, note 1
 */
static const uint8_t digest_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
#define SPC_INDIRECT_DATA "1.3.6.1.4.1.311.2.1.4"

static PKCS7 *read_signature(const void *p, size_t len)
{
    const unsigned char *at = p;
    PKCS7 *p7 = len <= LONG_MAX ? d2i_PKCS7(NULL, &at, (long)len) : NULL;
    if (p7 && PKCS7_type_is_signed(p7) && p7->d.sign && p7->d.sign->contents)
        return p7;
    PKCS7_free(p7);
    return NULL;
}

/* The content of its SEQUENCE, which is what was signed; false where it is of another kind. */
static bool content(const PKCS7 *p7, const uint8_t **ret, size_t *ret_len)
{
    const PKCS7 *c = p7->d.sign->contents;
    char kind[sizeof SPC_INDIRECT_DATA + 1];
    long len;
    int tag, class;
    if (OBJ_obj2txt(kind, sizeof kind, c->type, 1) <= 0 || strcmp(kind, SPC_INDIRECT_DATA) != 0 ||
        !c->d.other || c->d.other->type != V_ASN1_SEQUENCE)
        return false;
    const ASN1_STRING *s = c->d.other->value.sequence;
    const unsigned char *p = ASN1_STRING_get0_data(s);
    if (ASN1_get_object(&p, &len, &tag, &class, ASN1_STRING_length(s)) & 0x80)
        return false;
    *ret = p;
    *ret_len = (size_t)len;
    return true;
}

enum err authenticode_digest(const void *signature, size_t len, uint8_t ret[static CR_SHA256_SIZE])
{
    OPENSSL_QUIET();
    const uint8_t *p;
    size_t n;
    PKCS7 *p7 = read_signature(signature, len);
    enum err e = p7 && content(p7, &p, &n) ? ERR_OK : ERR_FORMAT;
    if (e == ERR_OK &&
        (n < sizeof digest_info + CR_SHA256_SIZE ||
         memcmp(p + n - CR_SHA256_SIZE - sizeof digest_info, digest_info, sizeof digest_info) != 0))
        e = ERR_UNSUPPORTED;
    if (e == ERR_OK)
        memcpy(ret, p + n - CR_SHA256_SIZE, CR_SHA256_SIZE);
    PKCS7_free(p7);
    return e;
}

/* Firmware takes any certificate of its list for an anchor, looks at no purpose and has no trusted clock. */
static X509_STORE *anchor(const struct cr_part *certificate)
{
    const unsigned char *at = certificate->p;
    X509 *x = certificate->len <= LONG_MAX ? d2i_X509(NULL, &at, (long)certificate->len) : NULL;
    X509_STORE *s = x ? X509_STORE_new() : NULL;
    if (s && (X509_STORE_add_cert(s, x) != 1 ||
              X509_STORE_set_flags(s, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME) != 1 ||
              X509_STORE_set_purpose(s, X509_PURPOSE_ANY) != 1)) {
        X509_STORE_free(s);
        s = NULL;
    }
    X509_free(x);
    return s;
}

enum err authenticode_chains_to(const void *signature, size_t len, const struct cr_part *certificate)
{
    OPENSSL_QUIET();
    const uint8_t *p;
    size_t n;
    PKCS7 *p7 = read_signature(signature, len);
    X509_STORE *s = anchor(certificate);
    enum err e = p7 && s && content(p7, &p, &n) && n <= INT_MAX ? ERR_OK : ERR_FORMAT;
    BIO *signed_part = e == ERR_OK ? BIO_new_mem_buf(p, (int)n) : NULL;
    if (e == ERR_OK)
        e = !signed_part                                                      ? ERR_NOMEM
            : PKCS7_verify(p7, NULL, s, signed_part, NULL, PKCS7_BINARY) == 1 ? ERR_OK
                                                                              : ERR_AUTH;
    BIO_free(signed_part);
    X509_STORE_free(s);
    PKCS7_free(p7);
    return e;
}

static bool is_tbs(X509 *x, const uint8_t want[static CR_SHA256_SIZE])
{
    unsigned char *tbs = NULL;
    uint8_t hash[CR_SHA256_SIZE];
    int n = i2d_re_X509_tbs(x, &tbs);
    bool same = n > 0 && cr_sha256(tbs, (size_t)n, hash) == ERR_OK && memcmp(hash, want, sizeof hash) == 0;
    OPENSSL_free(tbs);
    return same;
}

bool authenticode_brings(const void *signature, size_t len, const uint8_t tbs_sha256[static CR_SHA256_SIZE])
{
    OPENSSL_QUIET();
    PKCS7 *p7 = read_signature(signature, len);
    bool found = false;
    for (int i = 0; p7 && i < sk_X509_num(p7->d.sign->cert) && !found; i++)
        found = is_tbs(sk_X509_value(p7->d.sign->cert, i), tbs_sha256);
    PKCS7_free(p7);
    return found;
}
