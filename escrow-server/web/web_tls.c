/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/no_passphrase.h"
#include "escrow-server/pki.h"
#include "escrow-server/web/tls_provider.h"
#include "escrow-server/web/web.h"
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* Whose certificates are asked for. What a client shows is not judged by its chain: it counts for what it
 * says only where its key is the one that the device enrolled with last (web_sync.c), which the CA certified
 * then, and its owner proves the key in this very handshake. A chain costs a quarter of the handshake and
 * says less. source: docs/architecture.md, What it costs */
static enum err ask_for_ca(SSL_CTX *ctx, const char *pem)
{
    BIO *b = BIO_new_mem_buf(pem, -1);
    X509 *ca = b == NULL ? NULL : PEM_read_bio_X509(b, NULL, cr_no_passphrase, NULL);
    BIO_free(b);
    if (ca == NULL)
        return ERR_FORMAT;
    bool ok = SSL_CTX_add_client_CA(ctx, ca) == 1;
    X509_free(ca);
    return ok ? ERR_OK : ERR_INTERNAL;
}

/* Read by the whole of OpenSSL, which knows the files' forms; then made a key of the lean one. Used as it is
 * it would be looked up among everything that the whole one knows, at each handshake. NULL: not P-256 */
static EVP_PKEY *make_lean(OSSL_LIB_CTX *lean, const EVP_PKEY *key)
{
    OSSL_PARAM *parts = NULL;
    EVP_PKEY *made = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(lean, "EC", NULL);
    if (maker == NULL || EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &parts) != 1 ||
        EVP_PKEY_fromdata_init(maker) != 1 || EVP_PKEY_fromdata(maker, &made, EVP_PKEY_KEYPAIR, parts) != 1)
        made = NULL;
    for (OSSL_PARAM *p = parts; p != NULL && p->key != NULL; p++)
        OPENSSL_cleanse(p->data, p->data_size);
    OSSL_PARAM_free(parts);
    EVP_PKEY_CTX_free(maker);
    return made;
}

static enum err use_key(SSL_CTX *ctx, OSSL_LIB_CTX *lean)
{
    BIO *b = BIO_new_file(NAME_TLS_KEY, "r");
    EVP_PKEY *key = b == NULL ? NULL : PEM_read_bio_PrivateKey(b, NULL, cr_no_passphrase, NULL);
    EVP_PKEY *made = key == NULL ? NULL : make_lean(lean, key);
    bool ok = made != NULL && SSL_CTX_use_PrivateKey(ctx, made) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(made);
    EVP_PKEY_free(key);
    BIO_free(b);
    return ok ? ERR_OK : ERR_FORMAT;
}

/* AES-128 first: with X25519 and P-256 beside it a longer key protects nothing more, and its hash, SHA-256,
 * is what processors have instructions for; a handshake is a hundred of its blocks. */
#define COURIER_CHAIN 8192 /* bytes of certificates; OpenSSL would keep 100 KiB for whoever says so */
#define CIPHERS       "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* All keys are P-256. What is not offered need not be looked through, nor sent to each client. */
#define SIGNATURES "ECDSA+SHA256"
#define GROUPS     "X25519:P-256:P-384"

/* There is one certificate, and it can be used. Where nobody is asked for one, OpenSSL looks at the key's
 * curve in each handshake, by name, to see whether TLS 1.3 can be spoken at all. */
static int have_certificate(SSL *ssl, void *unused)
{
    (void)ssl, (void)unused;
    return 1;
}

static bool offer_little(SSL_CTX *ctx)
{
    SSL_CTX_set_cert_cb(ctx, have_certificate, NULL);
    return SSL_CTX_set_ciphersuites(ctx, CIPHERS) == 1 && SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == 1 &&
           SSL_CTX_set1_groups_list(ctx, GROUPS) == 1;
}

enum err web_tls_open(struct web *w)
{
    OSSL_LIB_CTX *lean = NULL;
    TRY(tls_provider_open(&lean));
    SSL_CTX *ctx = SSL_CTX_new_ex(lean, NULL, TLS_server_method());
    if (ctx == NULL)
        return ERR_NOMEM;
    w->tls = ctx;
    SSL_CTX_set_default_passwd_cb(ctx, cr_no_passphrase);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(ctx, NAME_TLS_CERT) != 1)
        return ERR_FORMAT;
    TRY(use_key(ctx, lean));
    TRY(ask_for_ca(ctx, w->child.org.ca));
    /* A certificate is asked for; enrolment has none. */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, web_courier_verify, NULL);
    /* Until the supervisor hands over a table of sessions. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (!offer_little(ctx) || SSL_CTX_set_num_tickets(ctx, 0) != 1)
        return ERR_INTERNAL;
    SSL_CTX_set_max_cert_list(ctx, COURIER_CHAIN);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
                              SSL_MODE_NO_AUTO_CHAIN); /* else our own chain is built each time */
    return ERR_OK;
}
