/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/p256.h"
#include "formats/policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof(a)[0])

#define ORG  "\"org\":\"7F3A2C10-5B44-4E0E-9D7C-2A1B3C4D5E6F\""
#define HEAD "{\"format\":\"keyholt-policy\",\"version\":3," ORG

static const char whole[] = HEAD
    ",\"escrow\":\"receipt\",\"key_package\":true,\"rotate_days\":90,\"rotate_used_needs_receipt\":true,"
    "\"verify_hours\":6,\"encrypt\":[\"removable\",\"os\"],\"retention\":\"none\",\"later\":{\"x\":[null]}}";

static enum err decode(const char *text, size_t len, struct policy *ret)
{
    struct guid org;
    void *scratch = malloc(POLICY_SCRATCH(len));
    assert_int_equal(guid_decode("7F3A2C10-5B44-4E0E-9D7C-2A1B3C4D5E6F", 36, &org), ERR_OK);
    enum err e = policy_decode(text, len, &org, scratch, POLICY_SCRATCH(len), ret);
    free(scratch);
    return e;
}

static void values(void **state)
{
    struct policy p;
    (void)state;
    assert_int_equal(decode(whole, strlen(whole), &p), ERR_OK);
    assert_int_equal(p.version, 3);
    assert_int_equal(p.escrow, POLICY_RECEIPT);
    assert_true(p.key_package && p.rotate_used_needs_receipt);
    assert_int_equal(p.rotate_days, 90);
    assert_int_equal(p.verify_hours, 6);
    assert_int_equal(p.encrypt, POLICY_ENCRYPT_OS | POLICY_ENCRYPT_REMOVABLE);
    static const char least[] = HEAD "}";
    assert_int_equal(decode(least, strlen(least), &p), ERR_OK);
    assert_int_equal(p.escrow, POLICY_SEALED);
    assert_false(p.key_package || p.rotate_used_needs_receipt);
    assert_int_equal(p.rotate_days, 180);
    assert_int_equal(p.verify_hours, 24);
    assert_int_equal(p.encrypt, POLICY_ENCRYPT_OS | POLICY_ENCRYPT_FIXED);
    static const char nothing[] = HEAD ",\"encrypt\":[]}";
    assert_int_equal(decode(nothing, strlen(nothing), &p), ERR_OK);
    assert_int_equal(p.encrypt, 0);
    policy_defaults(&p);
    assert_int_equal(p.version, 0);
    assert_int_equal(p.rotate_days, 180);
}

static void refused(void **state)
{
    static const struct {
        const char *text;
        enum err want;
    } rows[] = {
        {"{\"format\":\"keyholt-policy-2\",\"version\":3," ORG "}", ERR_VERSION},
        {"{\"format\":\"keyholt-org\",\"version\":3," ORG "}", ERR_FORMAT},
        {"{\"format\":\"keyholt-policy\",\"version\":0," ORG "}", ERR_FORMAT},
        {"{\"format\":\"keyholt-policy\",\"version\":9223372036854775808," ORG "}", ERR_RANGE},
        {"{\"format\":\"keyholt-policy\",\"version\":3}", ERR_FORMAT},
        {"{\"format\":\"keyholt-policy\",\"version\":3,\"org\":\"8F3A2C10-5B44-4E0E-9D7C-2A1B3C4D5E6F\"}",
         ERR_CONFLICT},
        {HEAD ",\"escrow\":\"maybe\"}", ERR_UNSUPPORTED},
        {HEAD ",\"escrow\":1}", ERR_FORMAT},
        {HEAD ",\"retention\":\"90 days\"}", ERR_UNSUPPORTED},
        {HEAD ",\"retention\":false}", ERR_FORMAT},
        {HEAD ",\"encrypt\":\"os\"}", ERR_FORMAT},
        {HEAD ",\"encrypt\":[\"os\",1]}", ERR_FORMAT},
        {HEAD ",\"encrypt\":[\"floppy\"]}", ERR_UNSUPPORTED},
        {HEAD ",\"key_package\":1}", ERR_FORMAT},
        {HEAD ",\"key_package\":null}", ERR_FORMAT},
        {HEAD ",\"rotate_days\":3651}", ERR_RANGE},
        {HEAD ",\"rotate_days\":-1}", ERR_FORMAT},
        {HEAD ",\"verify_hours\":0}", ERR_RANGE},
        {HEAD ",\"verify_hours\":1.5}", ERR_FORMAT},
        {HEAD, ERR_FORMAT},
    };
    struct policy p = {.version = 99};
    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        enum err e = decode(rows[i].text, strlen(rows[i].text), &p);
        if (e != rows[i].want || p.version != 99)
            fail_msg("%s: %s", rows[i].text, err_name(e));
    }
    for (size_t len = 0; len < sizeof whole - 1; len++)
        if (decode(whole, len, &p) == ERR_OK)
            fail_msg("%zu bytes are taken", len);
    static char big[POLICY_MAX + 1];
    memset(big, ' ', sizeof big);
    assert_int_equal(decode(big, sizeof big, &p), ERR_RANGE);
}

/* What is wrong is named. */
static void named(void **state)
{
    static const struct {
        const char *text, *at;
    } rows[] = {
        {"{", NULL},
        {"{\"format\":\"keyholt-org\"}", "format"},
        {"{\"format\":\"keyholt-policy\"," ORG "}", "version"},
        {"{\"format\":\"keyholt-policy\",\"version\":3}", "org"},
        {HEAD ",\"escrow\":1}", "escrow"},
        {HEAD ",\"encrypt\":\"os\"}", "encrypt"},
        {HEAD ",\"retention\":false}", "retention"},
        {HEAD ",\"key_package\":1}", "key_package"},
        {HEAD ",\"rotate_used_needs_receipt\":1}", "rotate_used_needs_receipt"},
        {HEAD ",\"rotate_days\":3651}", "rotate_days"},
        {HEAD ",\"verify_hours\":0}", "verify_hours"},
    };
    struct guid org;
    struct policy p;
    static char scratch[POLICY_SCRATCH(512)];
    (void)state;
    assert_int_equal(guid_decode("7F3A2C10-5B44-4E0E-9D7C-2A1B3C4D5E6F", 36, &org), ERR_OK);
    for (size_t i = 0; i < N(rows); i++) {
        const char *at = "?";
        enum err e = policy_check(rows[i].text, strlen(rows[i].text), &org, scratch, sizeof scratch, &p, &at);
        if (e == ERR_OK || (at == NULL) != (rows[i].at == NULL) ||
            (at != NULL && strcmp(at, rows[i].at) != 0))
            fail_msg("%s: %s at %s", rows[i].text, err_name(e), at != NULL ? at : "the whole");
    }
    const char *at = "?";
    assert_int_equal(policy_check(whole, strlen(whole), &org, scratch, sizeof scratch, &p, &at), ERR_OK);
    assert_null(at);
}

static void note(void *arg, const char *name)
{
    char *all = arg;
    strcat(strcat(all, name), " ");
}

static void unknown(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {HEAD "}", ""},
        {HEAD ",\"rotate_day\":3,\"Escrow\":\"sealed\"}", "rotate_day Escrow "},
        {HEAD ",\"later\":{\"org\":1,\"l\":[0,{\"\xc3\xa4\":{\"x\":[]}}]},\"z\":[]}",
         "later later.org later.l later.l[1].?? later.l[1].??.x z "},
        {"[{\"a\":1}]", "[0].a "},
    };
    static char scratch[POLICY_SCRATCH(POLICY_MAX)];
    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        char all[512] = "";
        assert_int_equal(
            policy_unknown(rows[i].text, strlen(rows[i].text), scratch, sizeof scratch, note, all), ERR_OK);
        assert_string_equal(all, rows[i].want);
    }
    char all[512] = "";
    assert_int_equal(policy_unknown(whole, strlen(whole), scratch, sizeof scratch, note, all), ERR_OK);
    assert_string_equal(all, "later later.x ");
    char deep[POLICY_MAX] = "";
    for (unsigned i = 0; i < 30; i++)
        strcat(deep, "{\"a-name-that-is-long-enough-to-fill-it\":");
    strcat(deep, "1");
    for (unsigned i = 0; i < 30; i++)
        strcat(deep, "}");
    static char much[POLICY_MAX];
    assert_int_equal(policy_unknown(deep, strlen(deep), scratch, sizeof scratch, note, much), ERR_OK);
    assert_true(strlen(much) < 30 * (size_t)POLICY_MEMBER);
}

static void signature(void **state)
{
    struct cr_p256_key *key;
    struct cr_p256_pub pub;
    uint8_t sig[POLICY_SIG];
    (void)state;
    assert_int_equal(cr_p256_generate(&key), ERR_OK);
    assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
    assert_int_equal(cr_p256_sign(key, whole, sizeof whole - 1, sig), ERR_OK);
    assert_int_equal(policy_verify(whole, sizeof whole - 1, sig, &pub), ERR_OK);
    assert_int_equal(policy_verify(whole, sizeof whole - 2, sig, &pub), ERR_AUTH);
    sig[5] ^= 1;
    assert_int_equal(policy_verify(whole, sizeof whole - 1, sig, &pub), ERR_AUTH);
    cr_p256_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),  cmocka_unit_test(refused),   cmocka_unit_test(named),
        cmocka_unit_test(unknown), cmocka_unit_test(signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
