/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Enrolment: what a certificate request can and cannot do, and its token. */
#include "crypto/hash.h"
#include "formats/enroll_text.h"
#include "tests/unit/writer_fixture.h"
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A certificate request; encrypted: it claims to need a passphrase. */
static size_t make_csr(bool encrypted, char *ret, size_t cap)
{
    static const char claim[] = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,"
                                "000102030405060708090A0B0C0D0E0F\n\n";
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_REQ *req = X509_REQ_new();
    BIO *out = BIO_new(BIO_s_mem());
    char *text;
    assert_int_equal(X509_REQ_set_pubkey(req, key), 1);
    assert_true(X509_REQ_sign(req, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(out, req), 1);
    int len = (int)BIO_get_mem_data(out, &text),
        first = (int)((char *)memchr(text, '\n', (size_t)len) - text);
    int n = snprintf(ret, cap, "%.*s\n%s%.*s", first, text, encrypted ? claim : "", len - first - 1,
                     text + first + 1);
    assert_true(n > 0 && (size_t)n < cap);
    BIO_free(out);
    X509_REQ_free(req);
    EVP_PKEY_free(key);
    return (size_t)n;
}

/* Nobody's keyboard is asked: neither standard input nor a terminal (the alarm ends a wait for that). */
static void test_an_encrypted_request_asks_nobody(void **state)
{
    static const char typed[] = "passphrase\n";
    char csr[4096], pem[PKI_PEM_MAX];
    const uint8_t id[32] = {1};
    uint8_t key_id[32];
    int input[2], left = 0, was = dup(STDIN_FILENO);
    const struct pki_ca ca = {w.ca_key, w.org.ca};
    (void)state;
    assert_int_equal(pipe(input), 0);
    assert_int_equal(write(input[1], typed, strlen(typed)), strlen(typed));
    assert_true(dup2(input[0], STDIN_FILENO) == STDIN_FILENO);
    alarm(60);
    size_t len = make_csr(true, csr, sizeof csr);
    assert_int_equal(pki_make_courier(&ca, csr, len, id, pem, key_id), ERR_FORMAT);
    len = make_csr(false, csr, sizeof csr);
    assert_int_equal(pki_make_courier(&ca, csr, len, id, pem, key_id), ERR_OK);
    alarm(0);
    assert_int_equal(ioctl(STDIN_FILENO, FIONREAD, &left), 0);
    dup2(was, STDIN_FILENO);
    close(was);
    close(input[0]);
    close(input[1]);
    assert_int_equal(left, strlen(typed));
}

static enum err enroll(const struct device *d, const char *token, const char *csr, size_t len)
{
    struct batch b = {.w = &w};
    struct pending p = {.type = MSG_ENROLL};
    struct msg_enroll m = {.time = 1, .computer = "pc", .csr = {(const uint8_t *)csr, len}};
    uint8_t text[ENROLL_TEXT_LEN];
    memcpy(m.spki, d->d.spki, sizeof m.spki);
    assert_int_equal(cr_sha256(token, strlen(token), m.token), ERR_OK);
    assert_int_equal(enroll_text(m.token, m.csr.p, m.csr.len, m.time, text), ERR_OK);
    assert_int_equal(cr_p256_sign(d->key, text, sizeof text, m.sig), ERR_OK);
    writer_enroll(&b, &p, &m);
    batch_finish(&b);
    return p.err;
}

/* The token is judged before the request is parsed, and a refused request leaves it as it was. */
static void test_enrolment_token_first(void **state)
{
    struct device d;
    char csr[4096];
    bool replicated;
    struct msg_token t = {.expires = UINT32_MAX, .uses = 1};
    size_t len = make_csr(false, csr, sizeof csr);
    (void)state;
    make_device(&d);
    assert_int_equal(cr_sha256("token", 5, t.hash), ERR_OK);
    assert_int_equal(ops.begin(w.store, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops.token_put(w.store, &t, 1), ERR_OK);
    assert_int_equal(ops.commit(w.store, STORE_RECOVERY, &replicated), ERR_OK);
    assert_int_equal(enroll(&d, "wrong", "no request", 10), ERR_DENIED);
    assert_int_equal(enroll(&d, "token", "no request", 10), ERR_FORMAT);
    assert_int_equal(enroll(&d, "token", csr, len), ERR_OK);
    cr_p256_free(d.key);
    make_device(&d);
    assert_int_equal(enroll(&d, "token", csr, len), ERR_DENIED);
    cr_p256_free(d.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WRITER_TEST(test_an_encrypted_request_asks_nobody),
        WRITER_TEST(test_enrolment_token_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
