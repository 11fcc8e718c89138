/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"
#include "escrow-server/pki.h"
#include "escrow-server/web/tls_sessions.h"
#include "escrow-server/web/web.h"
#include <openssl/x509_vfy.h>
#include <string.h>

/* What a courier's certificate says lies in the TLS session, so that a resumed one, which has no certificate,
 * says it too. */
struct courier {
    uint8_t device[32], key[32]; /* key: SHA-256 of spki */
    uint8_t spki[CR_P256_SPKI];
    bool due;   /* for renewal */
    bool known; /* more than its own word says so: the CA or the store */
};

static enum err read_certificate(const X509 *cert, struct courier *ret)
{
    *ret = (struct courier){0};
    TRY(pki_read_courier(cert, ret->device, ret->key));
    return pki_courier_due(cert, &ret->due, ret->spki);
}

int web_courier_verify(X509_STORE_CTX *store, void *unused)
{
    struct courier c;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const X509 *cert = X509_STORE_CTX_get0_cert(store);
    (void)unused;
    bool ok = cert != NULL && read_certificate(cert, &c) == ERR_OK &&
              SSL_SESSION_set1_ticket_appdata(SSL_get0_session(ssl), &c, sizeof c) == 1;
    X509_STORE_CTX_set_error(store, ok ? X509_V_OK : X509_V_ERR_CERT_REJECTED);
    return ok;
}

/* err: NOT_FOUND (it showed no certificate) */
static enum err courier_of(const SSL *ssl, struct courier *ret)
{
    void *p;
    size_t len;
    SSL_SESSION *session = SSL_get0_session(ssl);
    if (session == NULL || SSL_SESSION_get0_ticket_appdata(session, &p, &len) != 1 || p == NULL ||
        len != sizeof *ret)
        return ERR_NOT_FOUND;
    memcpy(ret, p, len);
    return ERR_OK;
}

enum err web_courier(const SSL *ssl, uint8_t ret_device[static 32], uint8_t ret_key[static 32])
{
    struct courier c;
    TRY(courier_of(ssl, &c));
    memcpy(ret_device, c.device, sizeof c.device);
    memcpy(ret_key, c.key, sizeof c.key);
    return ERR_OK;
}

/* For this connection, and for those that resume its session. */
static enum err set_known(SSL *ssl, struct courier *c)
{
    unsigned len = 0;
    SSL_SESSION *session = SSL_get0_session(ssl);
    const uint8_t *id = SSL_SESSION_get_id(session, &len);
    c->known = true;
    if (SSL_SESSION_set1_ticket_appdata(session, c, sizeof *c) != 1)
        return ERR_NOMEM;
    if (len == TLS_SESSION_ID)
        tls_sessions_note(id, c, sizeof *c);
    return ERR_OK;
}

enum err web_courier_known(SSL *ssl)
{
    struct courier c;
    TRY(courier_of(ssl, &c));
    return c.known ? ERR_OK : set_known(ssl, &c);
}

bool web_courier_is_known(const SSL *ssl)
{
    struct courier c;
    return courier_of(ssl, &c) == ERR_OK && c.known;
}

static void forget_session(const SSL *ssl)
{
    struct tls_session e;
    unsigned len = 0;
    const uint8_t *id = SSL_SESSION_get_id(SSL_get0_session(ssl), &len);
    if (len == TLS_SESSION_ID)
        (void)tls_sessions_take(id, &e);
    cr_wipe(&e, sizeof e);
}

static enum err check_ca(const X509 *cert, const char *ca)
{
    uint8_t *der = NULL, device[32], key[32];
    uint64_t since;
    int len = i2d_X509(cert, &der);
    if (len <= 0)
        return ERR_NOMEM;
    enum err e = pki_check_courier(ca, der, (size_t)len, device, key, &since);
    OPENSSL_free(der);
    return e;
}

enum err web_courier_judge(SSL *ssl, const char *ca)
{
    struct courier c;
    TRY(courier_of(ssl, &c));
    if (c.known)
        return ERR_OK;
    const X509 *cert = SSL_get0_peer_certificate(ssl);
    if (cert == NULL) {
        forget_session(ssl);
        return ERR_BUSY;
    }
    TRY(check_ca(cert, ca));
    return set_known(ssl, &c);
}

bool web_courier_due(const SSL *ssl, uint8_t ret_spki[static CR_P256_SPKI])
{
    struct courier c;
    if (courier_of(ssl, &c) != ERR_OK || !c.due)
        return false;
    memcpy(ret_spki, c.spki, sizeof c.spki);
    return true;
}
