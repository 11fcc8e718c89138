/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/management.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof(a)[0])

#define DEVICE      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define FINGERPRINT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static const char live[] = "{\"type\":\"keyholt-management\",\"keyslots\":[\"3\"],\"version\":1,\"state\":"
                           "\"live\",\"slot\":3,\"count\":2500,"
                           "\"id\":\"3F2504E0-4F89-41D3-9A0C-0305E82C3301\",\"device\":\"" DEVICE
                           "\",\"fingerprint\":\"" FINGERPRINT "\"}";

static enum err decode(const char *text, struct management *ret)
{
    return management_decode(text, strlen(text), ret);
}

static const char *edit(const char *from, const char *to)
{
    static char out[1024];
    const char *at = strstr(live, from);
    assert_non_null(at);
    (void)snprintf(out, sizeof out, "%.*s%s%s", (int)(at - live), live, to, at + strlen(from));
    return out;
}

static void values_and_round_trip(void **state)
{
    struct management m;
    char text[MANAGEMENT_JSON_MAX];
    (void)state;
    assert_int_equal(decode(live, &m), ERR_OK);
    assert_int_equal(m.state, MANAGEMENT_LIVE);
    assert_int_equal(m.slot, 3);
    assert_true(m.assigned && m.has_fingerprint);
    assert_int_equal(m.count, 2500);
    assert_int_equal(m.id.bytes[3], 0x3f);
    assert_int_equal(m.device[31], 0x1f);
    assert_int_equal(m.fingerprint[31], 0x1f);
    assert_int_equal(management_encode(&m, text), ERR_OK);
    assert_string_equal(text, live);
    m = (struct management){.state = MANAGEMENT_PENDING, .slot = 31, .count = 2025};
    assert_int_equal(management_encode(&m, text), ERR_OK);
    assert_int_equal(decode(text, &m), ERR_OK);
    assert_true(m.slot == 31 && !m.assigned && !m.has_fingerprint && m.state == MANAGEMENT_PENDING);
}

static void malformed(void **state)
{
    static const struct {
        const char *from, *to;
        enum err want;
    } rows[] = {
        {"\"version\":1", "\"version\":2", ERR_VERSION},
        {"keyholt-management", "keyholt", ERR_FORMAT},
        {"\"live\"", "\"retired\"", ERR_FORMAT},
        {"[\"3\"]", "[\"4\"]", ERR_FORMAT},
        {"[\"3\"]", "[\"3\",\"4\"]", ERR_FORMAT},
        {"[\"3\"]", "3", ERR_FORMAT},
        {"\"slot\":3", "\"slot\":32", ERR_FORMAT},
        {"\"slot\":3", "\"slot\":-1", ERR_FORMAT},
        {"\"count\":2500", "\"count\":\"2500\"", ERR_FORMAT},
        {"3F2504E0-", "3F2504E0", ERR_FORMAT},
        {"1e1f", "1e", ERR_FORMAT},
        {"Hh8=", "Hg==", ERR_FORMAT},
        {",\"fingerprint\":\"" FINGERPRINT "\"", "", ERR_FORMAT}, /* a live one has it */
    };
    struct management m = {.slot = 77};
    (void)state;
    for (size_t i = 0; i < N(rows); i++) {
        enum err e = decode(edit(rows[i].from, rows[i].to), &m);
        if (e != rows[i].want || m.slot != 77)
            fail_msg("%s: %s", rows[i].to, err_name(e));
    }
    for (size_t len = 0; len < sizeof live - 1; len++)
        if (management_decode(live, len, &m) == ERR_OK)
            fail_msg("%zu bytes are taken", len);
    char big[MANAGEMENT_JSON_MAX + 1];
    memset(big, ' ', sizeof big);
    assert_int_equal(management_decode(big, sizeof big, &m), ERR_RANGE);
}

static void not_written(void **state)
{
    static const struct management rows[] = {
        {.state = 0, .slot = 1},
        {.state = 3, .slot = 1},
        {.state = MANAGEMENT_PENDING, .slot = -1},
        {.state = MANAGEMENT_PENDING, .slot = 32},
        {.state = MANAGEMENT_LIVE, .slot = 1, .assigned = true},
    };
    char text[MANAGEMENT_JSON_MAX] = "untouched";
    (void)state;
    for (size_t i = 0; i < N(rows); i++)
        assert_int_equal(management_encode(&rows[i], text), ERR_RANGE);
    assert_string_equal(text, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_round_trip),
        cmocka_unit_test(malformed),
        cmocka_unit_test(not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
