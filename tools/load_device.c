/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/random.h"
#include "formats/base.h"
#include "formats/enroll_text.h"
#include "formats/host/json_strict.h"
#include "tools/load.h"
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The newest ticket is good for one more handshake. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct load_device *d = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(d->session);
    d->session = session;
    return 1;
}

static enum err make_tls(const struct load_org *o, struct load_device *d)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return ERR_NOMEM;
    d->tls = ctx;
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), o->ca) != 1)
        return ERR_INTERNAL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN); /* as the courier: the server has the CA itself */
    SSL_CTX_set_app_data(ctx, d);
    return ERR_OK;
}

enum err load_device_new(const struct load_org *o, struct load_device *ret)
{
    struct cr_p256_pub pub;
    *ret = (struct load_device){0};
    TRY(cr_p256_generate(&ret->key));
    TRY(cr_p256_public(ret->key, &pub));
    TRY(cr_p256_id(&pub, ret->id));
    TRY(cr_random(ret->incarnation, sizeof ret->incarnation));
    ret->courier = EVP_EC_gen("P-256");
    return ret->courier == NULL ? ERR_NOMEM : make_tls(o, ret);
}

static enum err csr_pem(EVP_PKEY *key, BIO *out)
{
    X509_REQ *req = X509_REQ_new();
    bool ok = req != NULL && X509_REQ_set_pubkey(req, key) == 1 &&
              X509_REQ_sign(req, key, EVP_sha256()) > 0 && PEM_write_bio_X509_REQ(out, req) == 1;
    X509_REQ_free(req);
    return ok ? ERR_OK : ERR_INTERNAL;
}

static enum err sign_enroll(const struct load_org *o, const struct load_device *d, const char *csr,
                            size_t len, uint64_t now, uint8_t ret_sig[static 64])
{
    uint8_t token[32], text[ENROLL_TEXT_LEN];
    TRY(cr_sha256(o->token, strlen(o->token), token));
    TRY(enroll_text(token, (const uint8_t *)csr, len, now, text));
    return cr_p256_sign(d->key, text, sizeof text, ret_sig);
}

static void add_base64(struct json_object *o, const char *name, const uint8_t *p, size_t len)
{
    char text[BASE64_LEN(CR_P256_SPKI) + 1];
    base64_encode(p, len, text);
    json_object_object_add(o, name, json_object_new_string(text));
}

static enum err enroll_json(const struct load_org *o, const struct load_device *d, const char *csr,
                            size_t len, struct json_object *ret)
{
    uint8_t sig[64], spki[CR_P256_SPKI];
    struct cr_p256_pub pub;
    uint64_t now = (uint64_t)time(NULL);
    TRY(cr_p256_public(d->key, &pub));
    TRY(cr_p256_to_spki(&pub, spki));
    TRY(sign_enroll(o, d, csr, len, now, sig));
    json_object_object_add(ret, "token", json_object_new_string(o->token));
    add_base64(ret, "device_spki", spki, sizeof spki);
    json_object_object_add(ret, "courier_csr", json_object_new_string_len(csr, (int)len));
    json_object_object_add(ret, "computer", json_object_new_string("load"));
    json_object_object_add(ret, "time", json_object_new_int64((int64_t)now));
    add_base64(ret, "signature", sig, sizeof sig);
    return ERR_OK;
}

enum err load_device_enroll(const struct load_org *o, const struct load_device *d, struct load_request *ret)
{
    char *csr;
    BIO *b = BIO_new(BIO_s_mem());
    struct json_object *json = json_object_new_object();
    enum err e = b == NULL || json == NULL ? ERR_NOMEM : csr_pem(d->courier, b);
    if (e == ERR_OK) {
        long len = BIO_get_mem_data(b, &csr);
        e = enroll_json(o, d, csr, (size_t)len, json);
    }
    if (e == ERR_OK)
        e = load_post("/v1/enroll", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN), false, ret);
    json_object_put(json);
    BIO_free(b);
    return e;
}

enum err load_device_enrolled(struct load_device *d, const char *body, size_t len)
{
    struct json_object *o = NULL;
    const char *pem = NULL;
    TRY(json_strict_parse(body, len, &o));
    enum err e = json_get_text(o, "certificate", 4096, &pem);
    BIO *b = e == ERR_OK ? BIO_new_mem_buf(pem, -1) : NULL;
    X509 *x = b == NULL ? NULL : PEM_read_bio_X509(b, NULL, NULL, NULL);
    bool ok = x != NULL && SSL_CTX_use_certificate(d->tls, x) == 1 &&
              SSL_CTX_use_PrivateKey(d->tls, d->courier) == 1;
    X509_free(x);
    BIO_free(b);
    json_object_put(o);
    return ok ? ERR_OK : ERR_FORMAT;
}

void load_device_wipe(struct load_device *d)
{
    for (size_t i = 0; i < d->n_made; i++)
        free(d->made[i].bytes);
    free(d->made);
    free(d->envelope);
    SSL_SESSION_free(d->session);
    SSL_CTX_free(d->tls);
    EVP_PKEY_free(d->courier);
    cr_p256_free(d->key);
    *d = (struct load_device){0};
}
