/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TLS of a web worker, in memory: whose certificate is taken, what it says, and that any worker resumes. */
#include "escrow-server/pki.h"
#include "escrow-server/places.h"
#include "escrow-server/web/tls_provider.h"
#include "escrow-server/web/tls_sessions.h"
#include "escrow-server/web/web.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define ALG_P256    "EC:P-256"
#define DEVICE_NAME "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static struct web *worker[2]; /* two, of one server */
static const uint8_t device[32] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
                                   0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                                   0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

struct client {
    SSL_CTX *ctx;
    SSL_SESSION *session; /* of the last ticket */
};

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void client_init(struct client *c, EVP_PKEY *key, X509 *cert)
{
    *c = (struct client){.ctx = SSL_CTX_new(TLS_client_method())};
    assert_non_null(c->ctx);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
    SSL_CTX_set_app_data(c->ctx, c);
    if (cert != NULL) {
        assert_int_equal(SSL_CTX_use_certificate(c->ctx, cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(c->ctx, key), 1);
    }
}

static void client_wipe(struct client *c)
{
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ctx);
}

/* A handshake over two buffers; ticket and close included. NULL: the server did not want it */
static SSL *shake(struct client *c, struct web *w, bool *ret_resumed)
{
    BIO *near, *far;
    SSL *ours = SSL_new(c->ctx), *theirs = SSL_new(w->tls);
    char byte;
    int done = 0;
    assert_int_equal(BIO_new_bio_pair(&near, 1 << 16, &far, 1 << 16), 1);
    SSL_set_bio(ours, near, near);
    SSL_set_bio(theirs, far, far);
    SSL_set_connect_state(ours);
    SSL_set_accept_state(theirs);
    if (c->session != NULL)
        assert_int_equal(SSL_set_session(ours, c->session), 1);
    for (int i = 0; i < 4 && done != 1; i++) {
        SSL_do_handshake(ours);
        done = SSL_do_handshake(theirs);
    }
    SSL_read(ours, &byte, 1); /* the ticket */
    SSL_shutdown(ours);       /* or the session counts as a bad one */
    *ret_resumed = SSL_session_reused(theirs) == 1;
    SSL_free(ours);
    ERR_clear_error();
    if (done == 1)
        return theirs;
    SSL_free(theirs);
    return NULL;
}

static EVP_PKEY *new_key(const char *kind)
{
    return strncmp(kind, "EC:", 3) == 0   ? EVP_EC_gen(kind + 3)
           : strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                                          : EVP_RSA_gen(2048);
}

/* Signed by itself: chains are not looked at, what counts is what the writer knows. */
static X509 *new_cert(EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();
    X509_NAME *n = X509_get_subject_name(x);
    X509_set_version(x, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    if (name != NULL)
        X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const uint8_t *)name, -1, -1, 0);
    X509_set_pubkey(x, key);
    assert_true(X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
    return x;
}

static const struct {
    const char *label, *key, *name;
    bool taken;
} shown[] = {
    {"P-256, a device's name", ALG_P256, DEVICE_NAME, true},
    {"P-384", "EC:P-384", DEVICE_NAME, false},
    {"P-521", "EC:P-521", DEVICE_NAME, false},
    {"secp256k1", "EC:secp256k1", DEVICE_NAME, false},
    {"RSA", "RSA", DEVICE_NAME, false},
    {"Ed25519", "ED25519", DEVICE_NAME, false},
    {"no name", ALG_P256, NULL, false},
    {"a short name", ALG_P256, "0011", false},
    {"a long name", ALG_P256, DEVICE_NAME "00", false},
    {"no hex", ALG_P256, "x0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", false},
};

static void test_whose_certificate_is_taken(void **state)
{
    uint8_t id[32], courier[32];
    (void)state;
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        struct client c;
        bool resumed;
        EVP_PKEY *key = new_key(shown[i].key);
        X509 *cert = new_cert(key, shown[i].name);
        client_init(&c, key, cert);
        SSL *ssl = shake(&c, worker[0], &resumed);
        bool taken = ssl != NULL && web_courier(ssl, id, courier) == ERR_OK;
        if (taken != shown[i].taken)
            fail_msg("%s: %s", shown[i].label, taken ? "taken" : "refused");
        SSL_free(ssl);
        client_wipe(&c);
        X509_free(cert);
        EVP_PKEY_free(key);
    }
}

/* What the session says must be what the certificate says. */
static void expect_courier(const SSL *ssl, EVP_PKEY *key)
{
    uint8_t id[32], courier[32], spki[CR_P256_SPKI], *at = spki, hash[32];
    assert_int_equal(web_courier(ssl, id, courier), ERR_OK);
    assert_memory_equal(id, device, 32);
    assert_int_equal(i2d_PUBKEY(key, &at), CR_P256_SPKI);
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, spki, sizeof spki, hash, NULL), 1);
    assert_memory_equal(courier, hash, 32);
}

static void test_a_certificate_says_who(void **state)
{
    struct client c;
    bool resumed;
    uint8_t spki[CR_P256_SPKI], want[CR_P256_SPKI], *at = want;
    (void)state;
    EVP_PKEY *key = new_key(ALG_P256);
    X509 *cert = new_cert(key, DEVICE_NAME);
    for (int days = -1; days <= 1; days += 2) { /* it may have expired: the server renews it */
        X509_gmtime_adj(X509_getm_notBefore(cert), -86400L * 2 * (days < 0));
        X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * days);
        X509_sign(cert, key, EVP_sha256());
        client_init(&c, key, cert);
        SSL *ssl = shake(&c, worker[0], &resumed);
        assert_non_null(ssl);
        expect_courier(ssl, key);
        assert_int_equal(web_courier_due(ssl, spki), days < 0);
        SSL_free(ssl);
        client_wipe(&c);
    }
    assert_int_equal(i2d_PUBKEY(key, &at), CR_P256_SPKI);
    assert_memory_equal(spki, want, sizeof want);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void test_no_certificate(void **state)
{
    struct client c;
    bool resumed;
    uint8_t id[32], key[32];
    (void)state;
    client_init(&c, NULL, NULL);
    for (unsigned i = 0; i < 2; i++) { /* nor does a session that began without one have one */
        SSL *ssl = shake(&c, worker[0], &resumed);
        assert_non_null(ssl);
        assert_int_equal(resumed, i > 0);
        assert_int_equal(web_courier(ssl, id, key), ERR_NOT_FOUND);
        SSL_free(ssl);
    }
    client_wipe(&c);
}

/* A ticket is good once, at any worker, and says the same device; the list of the revoked is asked by that.
 */
static void test_resumed_at_any_worker(void **state)
{
    struct client c;
    bool resumed;
    (void)state;
    EVP_PKEY *key = new_key(ALG_P256);
    X509 *cert = new_cert(key, DEVICE_NAME);
    static const char none[] = "{\"revoked\":[]}", gone[] = "{\"revoked\":[\"" DEVICE_NAME "\"]}";
    client_init(&c, key, cert);
    for (unsigned i = 0; i < 4; i++) {
        struct web *w = worker[i % 2];
        const char *list = i < 2 ? none : gone; /* revoked in between */
        assert_int_equal(revoked_read(&w->revoked, (const uint8_t *)list, strlen(list)), ERR_OK);
        SSL_SESSION *used = c.session;
        if (used != NULL)
            SSL_SESSION_up_ref(used);
        SSL *ssl = shake(&c, w, &resumed);
        assert_non_null(ssl);
        assert_int_equal(resumed, i > 0);
        expect_courier(ssl, key);
        assert_int_equal(web_revoked(w, device), i >= 2);
        assert_ptr_not_equal(c.session, used);
        SSL_free(ssl);
        SSL_SESSION_free(used);
    }
    SSL_SESSION *once = c.session;
    SSL_SESSION_up_ref(once);
    for (unsigned i = 0; i < 2; i++) {
        SSL_SESSION_up_ref(once);
        SSL_SESSION_free(c.session);
        c.session = once;
        SSL *ssl = shake(&c, worker[0], &resumed);
        assert_non_null(ssl);
        assert_int_equal(resumed, i == 0);
        SSL_free(ssl);
    }
    SSL_SESSION_free(once);
    client_wipe(&c);
    X509_free(cert);
    EVP_PKEY_free(key);
}

/* With each that is offered a client gets through, and resumes; with another one it does not. */
static void test_suites_and_groups(void **state)
{
    static const struct {
        const char *suite, *group;
        bool good, resumes;
    } table[] = {
        {"TLS_AES_128_GCM_SHA256", "X25519", true, true},
        {"TLS_AES_128_GCM_SHA256", "P-256", true, true},
        {"TLS_AES_128_GCM_SHA256", "X448:P-256", true, false}, /* asked to begin again: the session is used up
                                                                */
        {"TLS_AES_256_GCM_SHA384", "P-384", true, true},
        {"TLS_CHACHA20_POLY1305_SHA256", "X25519", true, true},
        {"TLS_AES_128_GCM_SHA256", "X448", false, false},
        {"TLS_AES_128_CCM_SHA256", "X25519", false, false},
    };
    (void)state;
    EVP_PKEY *key = new_key(ALG_P256);
    X509 *cert = new_cert(key, DEVICE_NAME);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct client c;
        client_init(&c, key, cert);
        assert_int_equal(SSL_CTX_set_ciphersuites(c.ctx, table[i].suite), 1);
        assert_int_equal(SSL_CTX_set1_groups_list(c.ctx, table[i].group), 1);
        for (unsigned again = 0; again < 2; again++) {
            bool resumed = false;
            SSL *ssl = shake(&c, worker[again], &resumed);
            if ((ssl != NULL) != table[i].good || resumed != (table[i].resumes && again > 0))
                fail_msg("%s, %s, time %u", table[i].suite, table[i].group, again);
            if (ssl != NULL)
                expect_courier(ssl, key);
            SSL_free(ssl);
        }
        client_wipe(&c);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Two workers in a folder with what init puts there, and the supervisor's table of sessions. */
static int open_workers(void **state)
{
    struct cr_p256_key *key = NULL, *ca_key = NULL;
    char cert[PKI_PEM_MAX], ca[PKI_PEM_MAX], pem[PKI_PEM_MAX], folder[] = "/tmp/keyholt-unit-XXXXXX";
    static const char hosts[1][PKI_HOST_MAX] = {"localhost"};
    size_t len;
    int fd;
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(cr_p256_generate(&ca_key), ERR_OK);
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    assert_int_equal(pki_make_ca(ca_key, "CA", ca), ERR_OK);
    assert_int_equal(pki_make_server(&(struct pki_ca){ca_key, ca}, key, hosts, 1, cert), ERR_OK);
    assert_int_equal(cr_p256_to_pem(key, NULL, pem, sizeof pem, &len), ERR_OK);
    write_file(NAME_TLS_CERT, cert);
    write_file(NAME_TLS_KEY, pem);
    for (unsigned i = 0; i < 2; i++) {
        worker[i] = calloc(1, sizeof *worker[i]);
        assert_non_null(worker[i]);
        snprintf(worker[i]->child.org.ca, sizeof worker[i]->child.org.ca, "%s", ca);
        assert_int_equal(web_tls_open(worker[i]), ERR_OK);
        assert_int_equal(tls_sessions_make(64, &fd), ERR_OK);
        assert_int_equal(web_tls_resume(worker[i], fd), ERR_OK); /* the process has one table: the last */
    }
    assert_int_equal(remove(NAME_TLS_CERT) | remove(NAME_TLS_KEY) | chdir("/") | rmdir(folder), 0);
    cr_p256_free(key);
    cr_p256_free(ca_key);
    return 0;
}

static int close_workers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        SSL_CTX_free(worker[i]->tls);
        free(worker[i]->revoked.id);
        free(worker[i]);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whose_certificate_is_taken),
        cmocka_unit_test(test_a_certificate_says_who),
        cmocka_unit_test(test_no_certificate),
        cmocka_unit_test(test_resumed_at_any_worker),
        cmocka_unit_test(test_suites_and_groups),
    };
    if (tls_provider_begin() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, open_workers, close_workers);
}
