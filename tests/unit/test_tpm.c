/* SPDX-License-Identifier: GPL-3.0-or-later */
/* agent/tpm/tpm.c over a fake, the blob's bytes, and every code that tpm2-tss may answer. */
#include "agent/tpm/tpm.h"
#include "agent/tpm/tpm_esys.h"
#include "tests/unit/fake_tpm.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_tpm2_types.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static struct tpm tpm;

static int setup(void **state)
{
    (void)state;
    fake_tpm_reset(1);
    return tpm_init(&tpm, &fake_tpm_edge, "fake") != ERR_OK;
}

/* Whatever happened: nothing is open, nothing is held. */
static int teardown(void **state)
{
    (void)state;
    return fake_tpm.open != 0 || fake_tpm.loaded != 0 || tpm.ops != NULL || tpm.connection != NULL ||
           tpm.depth != 0;
}

static struct secret some_secret(size_t len)
{
    struct secret s = {.len = len};
    memset(s.bytes, 0x5a, len);
    return s;
}

static void signs_what_it_was_told(void **state)
{
    (void)state;
    struct tpm_blob key;
    uint8_t sig[CR_P256_SIG];
    assert_int_equal(tpm_key_create(&tpm, &key), ERR_OK);
    assert_int_equal(key.kind, TPM_BLOB_KEY);
    assert_int_equal(key.primary[0], 1);
    assert_int_equal(tpm_sign(&tpm, &key, "message", 7, sig), ERR_OK);
    assert_int_equal(cr_p256_verify(&key.key, "message", 7, sig), ERR_OK);
    assert_int_equal(fake_tpm.opened, 2); /* create with its trial, sign */
}

static void a_false_signature_is_not_given_out(void **state)
{
    (void)state;
    struct tpm_blob key, none = {.kind = 9};
    uint8_t sig[CR_P256_SIG] = {7};
    assert_int_equal(tpm_key_create(&tpm, &key), ERR_OK);
    fake_tpm.lies = true;
    assert_int_equal(tpm_sign(&tpm, &key, "message", 7, sig), ERR_AUTH);
    assert_int_equal(sig[0], 7);
    assert_int_equal(tpm_key_create(&tpm, &none), ERR_AUTH);
    assert_int_equal(none.kind, 9);
}

static void seals(void **state)
{
    (void)state;
    struct secret s = some_secret(TPM_SECRET_MIN), back = {.len = 3};
    struct tpm_blob b, key;
    assert_int_equal(tpm_seal(&tpm, &s, &b), ERR_OK);
    assert_int_equal(tpm_unseal(&tpm, &b, &back), ERR_OK);
    assert_int_equal(back.len, s.len);
    assert_memory_equal(back.bytes, s.bytes, s.len);
    s.len = TPM_SECRET_MIN - 1;
    assert_int_equal(tpm_seal(&tpm, &s, &b), ERR_RANGE);
    s.len = TPM_SECRET_MAX + 1;
    assert_int_equal(tpm_seal(&tpm, &s, &b), ERR_RANGE);
    assert_int_equal(tpm_key_create(&tpm, &key), ERR_OK);
    assert_int_equal(tpm_unseal(&tpm, &key, &back), ERR_FORMAT); /* a key is no secret, and the other way */
    assert_int_equal(tpm_sign(&tpm, &b, "x", 1, key.private), ERR_FORMAT);
}

static void another_tpm_is_told_apart(void **state)
{
    (void)state;
    struct secret s = some_secret(40), back = {.len = 3};
    struct tpm_blob key, sealed;
    uint8_t sig[CR_P256_SIG];
    assert_int_equal(tpm_key_create(&tpm, &key), ERR_OK);
    assert_int_equal(tpm_seal(&tpm, &s, &sealed), ERR_OK);
    assert_int_equal(tpm_check(&tpm, &sealed), ERR_OK);
    fake_tpm.seed = 2; /* cleared */
    assert_int_equal(tpm_check(&tpm, &sealed), ERR_CONFLICT);
    assert_int_equal(tpm_probe(&tpm), ERR_OK);
    assert_int_equal(tpm_sign(&tpm, &key, "x", 1, sig), ERR_CONFLICT);
    assert_int_equal(tpm_unseal(&tpm, &sealed, &back), ERR_CONFLICT);
    assert_int_equal(back.len, 3);
    memset(key.primary, 2, sizeof key.primary); /* the file lies about its storage key */
    assert_int_equal(tpm_sign(&tpm, &key, "x", 1, sig), ERR_CONFLICT);
}

static void a_batch_has_one_connection(void **state)
{
    (void)state;
    struct tpm_blob key;
    uint8_t sig[CR_P256_SIG];
    assert_int_equal(tpm_begin(&tpm), ERR_OK);
    assert_int_equal(tpm_begin(&tpm), ERR_OK);
    assert_int_equal(tpm_key_create(&tpm, &key), ERR_OK);
    assert_int_equal(tpm_sign(&tpm, &key, "x", 1, sig), ERR_OK);
    tpm_end(&tpm);
    assert_int_equal(fake_tpm.open, 1);
    /* it breaks, once: the next operation of the batch has a new one */
    fake_tpm.fail = ERR_IO;
    fake_tpm.fails = 1;
    assert_int_equal(tpm_sign(&tpm, &key, "x", 1, sig), ERR_IO);
    assert_int_equal(fake_tpm.open, 0);
    assert_int_equal(tpm_sign(&tpm, &key, "x", 1, sig), ERR_OK);
    assert_int_equal(fake_tpm.opened, 2);
    assert_int_equal(fake_tpm.open, 1);
    tpm_end(&tpm);
}

static void busy_is_tried_again(void **state)
{
    (void)state;
    struct tpm_state s = {.lockout_max = 5};
    fake_tpm.fail = ERR_BUSY;
    fake_tpm.fails = 4;
    assert_int_equal(tpm_state(&tpm, &s), ERR_OK);
    assert_int_equal(s.lockout_max, 32);
    assert_int_equal(fake_tpm.paused_ms, 20 + 40 + 80 + 160);
    fake_tpm.fails = 5;
    s.lockout_max = 5;
    assert_int_equal(tpm_state(&tpm, &s), ERR_BUSY);
    assert_int_equal(s.lockout_max, 5);
}

/* Each answer of each operation fails in turn, in each way: the error comes back, the results are as they
 * were, and the same call works when the trouble is over. */
static void every_failure(void **state)
{
    (void)state;
    static const enum err errs[] = {ERR_IO, ERR_OFFLINE, ERR_DENIED, ERR_AUTH, ERR_NOMEM, ERR_UNSUPPORTED};
    const struct secret s = some_secret(33);
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++)
        for (unsigned after = 0; after < 7; after++) {
            struct tpm_blob key = {.kind = 9}, sealed = {.kind = 9};
            struct secret back = {.len = 3};
            fake_tpm_reset(1);
            fake_tpm.fail = errs[i];
            fake_tpm.fails = 1;
            fake_tpm.fail_after = after;
            enum err e = tpm_key_create(&tpm, &key); /* 3 answers and the trial's 2 */
            assert_int_equal(e, after < 5 ? errs[i] : ERR_OK);
            assert_int_equal(key.kind, after < 5 ? 9 : TPM_BLOB_KEY);
            fake_tpm.operations = 0;
            fake_tpm.fails = 1;
            e = tpm_seal(&tpm, &s, &sealed); /* 3 */
            assert_int_equal(e, after < 3 ? errs[i] : ERR_OK);
            assert_int_equal(sealed.kind, after < 3 ? 9 : TPM_BLOB_SEALED);
            fake_tpm.fails = 0;
            assert_int_equal(tpm_seal(&tpm, &s, &sealed), ERR_OK);
            fake_tpm.operations = 0;
            fake_tpm.fails = 1;
            e = tpm_unseal(&tpm, &sealed, &back); /* 3 */
            assert_int_equal(e, after < 3 ? errs[i] : ERR_OK);
            assert_int_equal(back.len, after < 3 ? 3 : 33);
            assert_int_equal(fake_tpm.open, 0);
        }
}

static void is_there(void **state)
{
    (void)state;
    char path[PATH_MAX + 32];
    struct tpm_state s;
    static const struct {
        const char *tcti;
        bool there;
    } rows[] = {{"none", false},
                {"device:/dev/no-such-tpm", false},
                {"device:/etc/passwd", false}, /* a file is no TPM */
                {"device:/dev/null", true},
                {"swtpm:path=/nowhere", true}}; /* found out when it is used */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tpm t;
        assert_int_equal(tpm_init(&t, &fake_tpm_edge, rows[i].tcti), ERR_OK);
        if (tpm_is_there(&t) != rows[i].there)
            fail_msg("%s", rows[i].tcti);
        if (!rows[i].there)
            assert_int_equal(tpm_state(&t, &s), ERR_NOT_FOUND);
    }
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    assert_int_equal(tpm_init(&tpm, &fake_tpm_edge, path), ERR_RANGE);
    assert_int_equal(tpm_init(&tpm, &fake_tpm_edge, ""), ERR_RANGE);
}

/* The base point of P-256 (SEC 2, 2.4.2) as public key. */
static const uint8_t base_point[] = {
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};

static size_t put(uint8_t *to, const void *p, size_t len)
{
    memcpy(to, p, len);
    return len;
}

/* Laid out by hand after docs/formats.md. ret: TPM_BLOB_MAX bytes */
static size_t blob_bytes(uint8_t *ret, uint8_t kind)
{
    const uint8_t head[] = {'K', 'H', 'T', 1, kind, 0, 0, 0}, public[] = {3, 0, 'p', 'u', 'b'},
                  private[] = {2, 0, 'p', 'r'};
    size_t n = put(ret, head, sizeof head);
    memset(ret + n, 0xaa, TPM_NAME);
    n += TPM_NAME;
    if (kind == TPM_BLOB_KEY)
        n += put(ret + n, base_point, sizeof base_point);
    n += put(ret + n, public, sizeof public);
    return n + put(ret + n, private, sizeof private);
}

static void blob_known_answer(void **state)
{
    (void)state;
    for (uint8_t kind = TPM_BLOB_KEY; kind <= TPM_BLOB_SEALED; kind++) {
        uint8_t in[TPM_BLOB_MAX], out[TPM_BLOB_MAX];
        struct tpm_blob b;
        size_t len = blob_bytes(in, kind), out_len = 0;
        assert_true(tpm_blob_is(in, len));
        assert_int_equal(tpm_blob_decode(in, len, &b), ERR_OK);
        assert_int_equal(b.kind, kind);
        assert_int_equal(b.primary[TPM_NAME - 1], 0xaa);
        assert_int_equal(b.public_len, 3);
        assert_memory_equal(b.public, "pub", 3);
        assert_int_equal(b.private_len, 2);
        assert_memory_equal(b.private, "pr", 2);
        if (kind == TPM_BLOB_KEY)
            assert_memory_equal(b.key.point, base_point, sizeof base_point);
        assert_int_equal(tpm_blob_encode(&b, out, &out_len), ERR_OK);
        assert_int_equal(out_len, len);
        assert_memory_equal(out, in, len);
        for (size_t n = 0; n <= len + 1; n++) {
            uint8_t *exact = malloc(n + 1);
            assert_non_null(exact);
            memset(exact, 0, n + 1);
            memcpy(exact, in, n < len ? n : len);
            enum err e = tpm_blob_decode(exact, n, &b);
            free(exact);
            if (e != (n < len ? ERR_TRUNCATED : n == len ? ERR_OK : ERR_FORMAT))
                fail_msg("kind %u, %zu bytes: %s", kind, n, err_name(e));
        }
    }
}

static void blob_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        uint8_t byte;
        enum err want;
    } rows[] = {{"magic", 0, 'X', ERR_FORMAT},
                {"version", 3, 2, ERR_VERSION},
                {"kind", 4, 3, ERR_FORMAT},
                {"reserved", 6, 1, ERR_FORMAT},
                {"point not on the curve", 8 + TPM_NAME + 20, 0, ERR_FORMAT},
                {"public too long", 8 + TPM_NAME + 65 + 1, 2, ERR_FORMAT},
                {"public empty", 8 + TPM_NAME + 65, 0, ERR_FORMAT},
                {"private too long", 8 + TPM_NAME + 65 + 6, 3, ERR_FORMAT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t in[TPM_BLOB_MAX];
        struct tpm_blob b = {.kind = 9};
        size_t len = blob_bytes(in, TPM_BLOB_KEY);
        in[rows[i].at] = rows[i].byte;
        enum err e = tpm_blob_decode(in, len, &b);
        if (e != rows[i].want || b.kind != 9)
            fail_msg("%s: %s", rows[i].name, err_name(e));
    }
    assert_false(tpm_blob_is((const uint8_t *)"-----BEGIN", 10));
    assert_false(tpm_blob_is((const uint8_t *)"KH", 2));
    struct tpm_blob b = {.kind = TPM_BLOB_SEALED, .public_len = TPM_PUBLIC_MAX + 1, .private_len = 1};
    uint8_t out[TPM_BLOB_MAX];
    size_t len = 0;
    assert_int_equal(tpm_blob_encode(&b, out, &len), ERR_RANGE);
}

/* Numbers as they were seen (field notes) and as the specification writes them. */
static void codes(void **state)
{
    (void)state;
    static const struct {
        uint32_t rc;
        enum err want;
    } rows[] = {{0, ERR_OK},
                {0x922, ERR_BUSY},        /* RETRY */
                {0x908, ERR_BUSY},        /* YIELDED */
                {0x90a, ERR_BUSY},        /* TESTING */
                {0x902, ERR_BUSY},        /* OBJECT_MEMORY */
                {0x903, ERR_BUSY},        /* SESSION_MEMORY */
                {0xc0902, ERR_BUSY},      /* the same from a resource manager */
                {0x921, ERR_DENIED},      /* LOCKOUT */
                {0x185, ERR_DENIED},      /* HIERARCHY, handle 1 */
                {0x120, ERR_DENIED},      /* DISABLED */
                {0x98e, ERR_AUTH},        /* AUTH_FAIL, session 1 */
                {0x9a2, ERR_AUTH},        /* BAD_AUTH, session 1 */
                {0x1df, ERR_CONFLICT},    /* INTEGRITY, parameter 1 */
                {0x2df, ERR_CONFLICT},    /* INTEGRITY, parameter 2 */
                {0x2e5, ERR_CONFLICT},    /* BINDING, parameter 2 */
                {0x2e6, ERR_UNSUPPORTED}, /* CURVE, parameter 2 */
                {0x143, ERR_UNSUPPORTED}, /* COMMAND_CODE */
                {0x101, ERR_IO},          /* FAILURE */
                {0x100, ERR_IO},          /* INITIALIZE */
                {0x1c4, ERR_IO},          /* VALUE, parameter 1: nobody expects it */
                {0xa000a, ERR_IO},        /* TCTI: I/O error */
                {0xa0008, ERR_OFFLINE},   /* TCTI: no connection */
                {0xa0009, ERR_BUSY},      /* TCTI: try again */
                {0x70017, ERR_NOMEM},     /* ESYS: memory */
                {0x7001b, ERR_AUTH},      /* ESYS: the answer's HMAC is wrong */
                {0x80011, ERR_IO},        /* SYS: malformed response */
                {0x7000b, ERR_INTERNAL}}; /* ESYS: bad value: our own fault */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (err_from_tss(rows[i].rc) != rows[i].want)
            fail_msg("0x%x: %s", rows[i].rc, err_name(err_from_tss(rows[i].rc)));
    for (uint32_t n = 1; n < 16; n++) /* the number never matters */
        assert_int_equal(err_from_tss(TPM2_RC_INTEGRITY | n << 8), ERR_CONFLICT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(signs_what_it_was_told),
        T(a_false_signature_is_not_given_out),
        T(seals),
        T(another_tpm_is_told_apart),
        T(a_batch_has_one_connection),
        T(busy_is_tried_again),
        T(every_failure),
        T(is_there),
        T(blob_known_answer),
        T(blob_refusals),
        T(codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
