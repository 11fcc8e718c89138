/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"
#include "escrow-server/web/tls_sessions.h"
#include "escrow-server/web/web.h"
#include <openssl/rand.h>
#include <string.h>
#include <time.h>

#define CONTEXT "keyholt"

/* Any number that cannot be guessed. */
static int make_id(SSL *ssl, unsigned char *id, unsigned *len)
{
    (void)ssl;
    return RAND_bytes(id, (int)*len);
}

static int on_new(SSL *ssl, SSL_SESSION *session)
{
    struct tls_session e = {.time = (uint64_t)time(NULL)};
    unsigned id_len;
    size_t note_len = 0;
    void *note = NULL;
    (void)ssl;
    const uint8_t *id = SSL_SESSION_get_id(session, &id_len);
    uint16_t cipher = SSL_CIPHER_get_protocol_id(SSL_SESSION_get0_cipher(session));
    size_t key_len = SSL_SESSION_get_master_key(session, NULL, 0);
    SSL_SESSION_get0_ticket_appdata(session, &note, &note_len);
    if (id_len != TLS_SESSION_ID || key_len == 0 || key_len > sizeof e.key || note_len > sizeof e.note)
        return 0;
    memcpy(e.id, id, TLS_SESSION_ID);
    e.key_len = (uint8_t)SSL_SESSION_get_master_key(session, e.key, sizeof e.key);
    e.cipher[0] = (uint8_t)(cipher >> 8);
    e.cipher[1] = (uint8_t)cipher;
    e.note_len = (uint8_t)note_len;
    if (note_len > 0)
        memcpy(e.note, note, note_len);
    tls_sessions_put(&e);
    cr_wipe(&e, sizeof e);
    return 0; /* OpenSSL keeps its own */
}

static bool fill(SSL *ssl, const struct tls_session *e, SSL_SESSION *session)
{
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, e->cipher);
    return cipher != NULL && SSL_SESSION_set1_id(session, e->id, TLS_SESSION_ID) == 1 &&
           SSL_SESSION_set1_id_context(session, (const uint8_t *)CONTEXT, sizeof CONTEXT - 1) == 1 &&
           SSL_SESSION_set1_master_key(session, e->key, e->key_len) == 1 &&
           SSL_SESSION_set_cipher(session, cipher) == 1 &&
           SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1 &&
           SSL_SESSION_set1_ticket_appdata(session, e->note, e->note_len) == 1 &&
           SSL_SESSION_set_time(session, (long)e->time) != 0 &&
           SSL_SESSION_set_timeout(session, TLS_SESSION_S) == 1;
}

static SSL_SESSION *on_get(SSL *ssl, const unsigned char *id, int len, int *ret_copy)
{
    struct tls_session e;
    *ret_copy = 0; /* ours is OpenSSL's now */
    if (len != TLS_SESSION_ID || !tls_sessions_take(id, &e))
        return NULL;
    SSL_SESSION *session = SSL_SESSION_new();
    bool ok = session != NULL && fill(ssl, &e, session);
    cr_wipe(&e, sizeof e);
    if (ok)
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

enum err web_tls_resume(struct web *w, int fd)
{
    SSL_CTX *ctx = w->tls;
    TRY(tls_sessions_open(fd));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_new);
    SSL_CTX_sess_set_get_cb(ctx, on_get);
    SSL_CTX_set_timeout(ctx, TLS_SESSION_S);
    SSL_CTX_set_generate_session_id(ctx, make_id);
    if (SSL_CTX_set_num_tickets(ctx, 1) != 1 ||
        SSL_CTX_set_session_id_context(ctx, (const uint8_t *)CONTEXT, sizeof CONTEXT - 1) != 1)
        return ERR_INTERNAL;
    return ERR_OK;
}
