/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/errand.h"
#include "crypto/host/file.h"
#include "crypto/host/no_passphrase.h"
#include "crypto/secret.h"
#include "formats/base.h"
#include "formats/names.h"
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

enum err errand_identity_init(struct errand_identity *id, const char *root)
{
    char folder[PATH_MAX];
    TRY(file_join(root, KH_COURIER_STATE, folder, sizeof folder));
    TRY(file_mkdirs(folder, 0700));
    TRY(file_join(root, KH_COURIER_STATE "/tls.key", id->key, sizeof id->key));
    return file_join(root, KH_COURIER_STATE "/tls.crt", id->certificate, sizeof id->certificate);
}

static enum err load_key(const char *path, EVP_PKEY **ret)
{
    uint8_t *pem;
    size_t len;
    TRY(file_read(path, ERRAND_PEM_MAX, &pem, &len));
    BIO *in = BIO_new_mem_buf(pem, (int)len);
    EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, cr_no_passphrase, NULL) : NULL;
    BIO_free(in);
    cr_wipe(pem, len);
    free(pem);
    if (!key)
        return ERR_FORMAT;
    *ret = key;
    return ERR_OK;
}

static enum err make_key(const char *path, EVP_PKEY **ret)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *out = BIO_new(BIO_s_mem());
    char *pem = NULL;
    enum err e = ERR_INTERNAL;

    if (key && out && PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1) {
        long len = BIO_get_mem_data(out, &pem);
        e = file_write(path, pem, (size_t)len, 0600);
        cr_wipe(pem, (size_t)len);
    }
    BIO_free(out);
    if (e == ERR_OK)
        *ret = key;
    else
        EVP_PKEY_free(key);
    return e;
}

static bool fill_request(X509_REQ *req, EVP_PKEY *key, const uint8_t device[static 32])
{
    char cn[BASE16_LEN(32) + 1];
    base16_encode(device, 32, cn);
    X509_NAME *name = X509_REQ_get_subject_name(req);
    return X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0) == 1 &&
           X509_REQ_set_pubkey(req, key) == 1 && X509_REQ_sign(req, key, EVP_sha256()) > 0;
}

static enum err sign_request(EVP_PKEY *key, const uint8_t device[static 32], char *ret)
{
    X509_REQ *req = X509_REQ_new();
    BIO *out = BIO_new(BIO_s_mem());
    enum err e = ERR_INTERNAL;

    if (req && out && fill_request(req, key, device) && PEM_write_bio_X509_REQ(out, req) == 1) {
        char *pem;
        long len = BIO_get_mem_data(out, &pem);
        if (len > 0 && len < ERRAND_PEM_MAX) {
            memcpy(ret, pem, (size_t)len);
            ret[len] = 0;
            e = ERR_OK;
        }
    }
    BIO_free(out);
    X509_REQ_free(req);
    return e;
}

enum err errand_identity_csr(const struct errand_identity *id, const uint8_t device[static 32], char *ret)
{
    EVP_PKEY *key = NULL;
    enum err e = load_key(id->key, &key);
    if (e == ERR_NOT_FOUND || e == ERR_FORMAT)
        e = make_key(id->key, &key); /* a damaged one is no loss: the request brings a new certificate */
    if (e == ERR_OK)
        e = sign_request(key, device, ret);
    EVP_PKEY_free(key);
    return e;
}

enum err errand_identity_keep(const struct errand_identity *id, const char *pem)
{
    EVP_PKEY *key = NULL;
    TRY(load_key(id->key, &key));
    BIO *in = BIO_new_mem_buf(pem, -1);
    X509 *certificate = in ? PEM_read_bio_X509(in, NULL, cr_no_passphrase, NULL) : NULL;
    enum err e = !certificate                                    ? ERR_FORMAT
                 : X509_check_private_key(certificate, key) == 1 ? ERR_OK
                                                                 : ERR_AUTH;
    X509_free(certificate);
    BIO_free(in);
    EVP_PKEY_free(key);
    return e == ERR_OK ? file_write(id->certificate, pem, strlen(pem), 0600) : e;
}
