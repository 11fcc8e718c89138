/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/p256.h"
#include "formats/base.h"
#include "formats/org.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof(a)[0])

static char text[8192];
static uint8_t scratch[16 * sizeof text];
static struct org o;

/* {"id": …, "spki": …} of a key made from one byte, with more members in front. */
static void put_key(char *ret, size_t cap, const char *more, uint8_t seed)
{
    struct cr_p256_key *key;
    struct cr_p256_pub pub;
    uint8_t scalar[32] = {0}, spki[CR_P256_SPKI], id[CR_KEY_ID];
    char hex[BASE16_LEN(CR_KEY_ID) + 1], b64[BASE64_LEN(CR_P256_SPKI) + 1];
    scalar[31] = seed;
    assert_int_equal(cr_p256_from_scalar(scalar, &key), ERR_OK);
    assert_int_equal(cr_p256_public(key, &pub), ERR_OK);
    assert_int_equal(cr_p256_to_spki(&pub, spki), ERR_OK);
    assert_int_equal(cr_p256_id(&pub, id), ERR_OK);
    base16_encode(id, sizeof id, hex);
    base64_encode(spki, sizeof spki, b64);
    snprintf(ret, cap, "{%s\"id\":\"%s\",\"spki\":\"%s\"}", more, hex, b64);
    cr_p256_free(key);
}

static void make_text(void)
{
    char key[4][320];
    put_key(key[0], sizeof key[0], "\"use\":\"vault\",", 1);
    put_key(key[1], sizeof key[1], "\"use\":\"desk\",", 2);
    put_key(key[2], sizeof key[2], "", 3);
    put_key(key[3], sizeof key[3], "", 4);
    int n =
        snprintf(text, sizeof text,
                 "{\"format\":\"keyholt-org\",\"version\":7,\"id\":\"3F2504E0-4F89-41D3-9A0C-0305E82C3301\","
                 "\"name\":\"M\\u00fcller & S\xc3\xb6hne\",\"message\":\"Call 4711\\nor scan\","
                 "\"url\":\"https://r.example.org\",\"servers\":[\"https://a.example.org:8443\","
                 "\"https://b.example.org:8443\"],\"ca\":\"-----BEGIN CERTIFICATE-----\\nAAAA\\n\","
                 "\"escrow_keys\":[%s,%s],\"receipt_keys\":[%s],\"policy_key\":%s,\"later\":{\"x\":[1]},"
                 "\"revoked\":[\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"]}",
                 key[0], key[1], key[2], key[3]);
    assert_true(n > 0 && (size_t)n < sizeof text);
}

static enum err decode(const char *json)
{
    memset(&o, 0xa5, sizeof o);
    return org_decode(json, strlen(json), scratch, 16 * strlen(json), &o);
}

static void test_values(void **state)
{
    (void)state;
    uint8_t hash[32];
    make_text();
    assert_int_equal(decode(text), ERR_OK);
    assert_int_equal(o.version, 7);
    assert_int_equal(o.id.bytes[3], 0x3f);
    assert_string_equal(o.name, "M\xc3\xbcller & S\xc3\xb6hne");
    assert_string_equal(o.message, "Call 4711\nor scan");
    assert_string_equal(o.url, "https://r.example.org");
    assert_int_equal(o.n_servers, 2);
    assert_string_equal(o.server[1], "https://b.example.org:8443");
    assert_int_equal(o.n_escrow, 2);
    assert_int_equal(o.escrow[0].use, ORG_VAULT);
    assert_int_equal(o.escrow[1].use, ORG_DESK);
    assert_int_equal(o.n_receipt, 1);
    assert_int_equal(cr_sha256(o.policy.spki, 91, hash), ERR_OK);
    assert_memory_equal(hash, o.policy.id, 32);
    assert_string_equal(o.ca, "-----BEGIN CERTIFICATE-----\nAAAA\n");
}

static const struct {
    const char *name, *from, *to;
    enum err want;
} edits[] = {
    {"another format", "keyholt-org", "keyhalt-org", ERR_FORMAT},
    {"a later format", "keyholt-org", "keyholt-org-2", ERR_VERSION},
    {"version 0", "\"version\":7", "\"version\":0", ERR_FORMAT},
    {"version as text", "\"version\":7", "\"version\":\"7\"", ERR_FORMAT},
    {"version -1", "\"version\":7", "\"version\":-1", ERR_FORMAT},
    {"version of 64 bits", "\"version\":7", "\"version\":18446744073709551615", ERR_OK},
    {"version beyond", "\"version\":7", "\"version\":18446744073709551616", ERR_RANGE},
    {"no id", "\"id\":\"3F2504E0", "\"ed\":\"3F2504E0", ERR_FORMAT},
    {"a broken id", "3F2504E0-", "3F2504E0", ERR_FORMAT},
    {"too long an id", "3F2504E0-", "3F2504E03F2504E03F2504E0-", ERR_FORMAT},
    {"no name", "\"name\"", "\"nome\"", ERR_FORMAT},
    {"name is a number", "\"M\\u00fcller & S\xc3\xb6hne\"", "5", ERR_FORMAT},
    {"half a character in the name", "S\xc3\xb6hne", "S\xc3hne", ERR_FORMAT},
    {"zero character in the message", "4711", "\\u0000", ERR_FORMAT},
    {"no servers", "\"https://a.example.org:8443\",\"https://b.example.org:8443\"", "", ERR_FORMAT},
    {"a server without https", "https://b", "http://b", ERR_FORMAT},
    {"servers is no array", "[\"https://a.example.org:8443\",\"https://b.example.org:8443\"]",
     "\"https://a\"", ERR_FORMAT},
    {"nine servers", "\"https://b.example.org:8443\"",
     "\"https://b\",\"https://b\",\"https://b\",\"https://b\",\"https://b\",\"https://b\",\"https://"
     "b\",\"https://b\"",
     ERR_RANGE},
    {"an escrow key for nothing", "\"desk\"", "\"bank\"", ERR_FORMAT},
    {"no receipt keys", "\"receipt_keys\"", "\"receipts\"", ERR_FORMAT},
    {"no policy key", "\"policy_key\"", "\"policy\"", ERR_FORMAT},
    {"no revoked", "\"revoked\"", "\"rev\"", ERR_FORMAT},
    {"nobody revoked", "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"", "", ERR_OK},
    {"a short ID revoked", "\"00112233", "\"", ERR_FORMAT},
    {"a bit of a key", "MFkwEwYHKoZIzj0CAQ", "MFkwEwYHKoZIzj0CAR", ERR_FORMAT},
    {"copying allowed", "\"later\"", "\"copy_files\":true,\"later\"", ERR_OK},
    {"copying is a text", "\"later\"", "\"copy_files\":\"no\",\"later\"", ERR_FORMAT},
    {"a comma too many", "\"revoked\"", ",\"revoked\"", ERR_FORMAT},
};

static const char *edit(const char *from, const char *to)
{
    static char out[sizeof text];
    const char *at = strstr(text, from);
    assert_non_null(at);
    int n = snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_true(n > 0 && (size_t)n < sizeof out);
    return out;
}

static bool untouched(void)
{
    const uint8_t *p = (const uint8_t *)&o;
    for (size_t i = 0; i < sizeof o; i++)
        if (p[i] != 0xa5)
            return false;
    return true;
}

static void test_copying(void **state)
{
    (void)state;
    make_text();
    assert_int_equal(decode(text), ERR_OK);
    assert_false(o.no_copying);
    assert_int_equal(decode(edit("\"later\"", "\"copy_files\":false,\"later\"")), ERR_OK);
    assert_true(o.no_copying);
    assert_int_equal(decode(edit("\"later\"", "\"copy_files\":true,\"later\"")), ERR_OK);
    assert_false(o.no_copying);
}

static void test_edits(void **state)
{
    (void)state;
    unsigned failed = 0;
    make_text();
    for (size_t i = 0; i < N(edits); i++) {
        enum err e = decode(edit(edits[i].from, edits[i].to));
        if (e != edits[i].want || (e != ERR_OK && !untouched())) {
            print_error("%s: %s, not %s\n", edits[i].name, err_name(e), err_name(edits[i].want));
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

static void test_lengths(void **state)
{
    (void)state;
    make_text();
    size_t len = strlen(text);
    for (size_t n = 0; n < len; n++) {
        char *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, text, n);
        if (org_decode(exact, n, scratch, sizeof scratch, &o) != ERR_FORMAT)
            fail_msg("%zu bytes", n);
        free(exact);
    }
    assert_int_equal(org_decode(text, len, scratch, 100, &o), ERR_FULL);
    char *big = malloc(ORG_MAX + 1);
    assert_non_null(big);
    memset(big, ' ', ORG_MAX + 1);
    assert_int_equal(org_decode(big, ORG_MAX + 1, scratch, sizeof scratch, &o), ERR_RANGE);
    free(big);
    char name[ORG_TEXT + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(decode(edit("M\\u00fcller & S\xc3\xb6hne", name)), ERR_FULL);
    name[ORG_TEXT] = 0;
    assert_int_equal(decode(edit("M\\u00fcller & S\xc3\xb6hne", name)), ERR_OK);
}

static void test_signature(void **state)
{
    (void)state;
    struct cr_p256_key *root, *other;
    struct cr_p256_pub pub, other_pub;
    uint8_t sig[64];
    make_text();
    size_t len = strlen(text);
    assert_int_equal(cr_p256_generate(&root), ERR_OK);
    assert_int_equal(cr_p256_generate(&other), ERR_OK);
    assert_int_equal(cr_p256_public(root, &pub), ERR_OK);
    assert_int_equal(cr_p256_public(other, &other_pub), ERR_OK);
    assert_int_equal(cr_p256_sign(root, text, len, sig), ERR_OK);
    assert_int_equal(org_verify(text, len, sig, &pub), ERR_OK);
    assert_int_equal(org_verify(text, len, sig, &other_pub), ERR_AUTH);
    assert_int_equal(org_verify(text, len - 1, sig, &pub), ERR_AUTH);
    text[10] ^= 1;
    assert_int_equal(org_verify(text, len, sig, &pub), ERR_AUTH);
    text[10] ^= 1;
    for (size_t i = 0; i < sizeof sig; i++) {
        sig[i] ^= 0x80;
        assert_int_equal(org_verify(text, len, sig, &pub), ERR_AUTH);
        sig[i] ^= 0x80;
    }
    cr_p256_free(root);
    cr_p256_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_copying),   cmocka_unit_test(test_edits),
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
