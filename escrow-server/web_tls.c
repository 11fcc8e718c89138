/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/no_passphrase.h"
#include "escrow-server/pki.h"
#include "escrow-server/web.h"
#include <openssl/pem.h>
#include <openssl/x509.h>

/* Trust nobody but the organisation's CA; and no clock, neither ours nor a device's (DESIGN section 4). */
static enum err trust_ca(SSL_CTX *ctx, const char *pem)
{
    BIO *b = BIO_new_mem_buf(pem, -1);
    X509 *ca = b == NULL ? NULL : PEM_read_bio_X509(b, NULL, cr_no_passphrase, NULL);
    BIO_free(b);
    if (ca == NULL)
        return ERR_FORMAT;
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    bool ok = X509_STORE_add_cert(store, ca) == 1 &&
              X509_STORE_set_flags(store, X509_V_FLAG_NO_CHECK_TIME) == 1 &&
              SSL_CTX_add_client_CA(ctx, ca) == 1;
    X509_free(ca);
    return ok ? ERR_OK : ERR_INTERNAL;
}

enum err web_tls_open(struct web *w)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return ERR_NOMEM;
    w->tls = ctx;
    SSL_CTX_set_default_passwd_cb(ctx, cr_no_passphrase);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(ctx, NAME_TLS_CERT) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, NAME_TLS_KEY, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ctx) != 1)
        return ERR_FORMAT;
    TRY(trust_ca(ctx, w->child.org.ca));
    /* A certificate is asked for and checked when it comes; enrolment has none. */
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    /* No resumption yet: each ticket costs, and no verify callback would run on it (DESIGN section 8). */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1)
        return ERR_INTERNAL;
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return ERR_OK;
}
