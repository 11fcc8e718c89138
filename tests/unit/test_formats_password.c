/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/guid.h"
#include "formats/recovery_password.h"
#include "formats_vectors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

/* A real BitLocker recovery password: image bitlk-aes-cbc-128 of cryptsetup's test images, made by Windows.
 * Its 16 bytes: each group divided by 11, little-endian, worked out outside this code. */
#define KNOWN "042647-302313-590458-071500-554323-116567-412181-516978"

static void known_answer(void **state)
{
    (void)state;
    SECRET(bytes);
    SECRET(text);
    unsigned group = 99;
    assert_int_equal(rp_decode(KNOWN, RP_TEXT, &bytes, &group), ERR_OK);
    assert_int_equal(group, 99); /* untouched */
    assert_int_equal(bytes.len, RP_BYTES);
    assert_memory_equal(bytes.bytes, vector_password, RP_BYTES);
    rp_encode(vector_password, &text);
    assert_int_equal(text.len, 55);
    assert_memory_equal(text.bytes, KNOWN, 55);
}

#define REST "590458-071500-554323-116567-412181-516978"
#define SPELLED(mark)                                                                                        \
    "042647" mark "302313" mark "590458" mark "071500" mark "554323" mark "116567" mark "412181" mark "5169" \
    "78"

/* Zeros for "untouched": a failing row must leave the secret as it was. */
static const struct decode_row {
    const char *name, *text;
    enum err err;
    unsigned group;
} decode_rows[] = {
    {"dashes", KNOWN, ERR_OK, 0},
    {"nothing between", "042647302313590458071500554323116567412181516978", ERR_OK, 0},
    {"spaces and tabs", " 042647 302313\t590458  071500 554323 - 116567 412181 516978 ", ERR_OK, 0},
    {"one typing error", "042647-302313-590458-071501-554323-116567-412181-516978", ERR_RANGE, 4},
    {"two typing errors: the first", "042647-302313-590459-071501-554323-116567-412181-516978", ERR_RANGE, 3},
    {"first group", "042648-302313-590458-071500-554323-116567-412181-516978", ERR_RANGE, 1},
    {"last group", "042647-302313-590458-071500-554323-116567-412181-516979", ERR_RANGE, 8},
    {"swapped digits", "042674-302313-590458-071500-554323-116567-412181-516978", ERR_RANGE, 1},
    {"too large: 720896 = 11 x 65536", "720896-302313-590458-071500-554323-116567-412181-516978", ERR_RANGE,
     1},
    {"too large: 999999 = 11 x 90909", "042647-999999-590458-071500-554323-116567-412181-516978", ERR_RANGE,
     2},
    {"47 digits", "042647-302313-590458-071500-554323-116567-412181-51697", ERR_FORMAT, 0},
    {"49 digits", KNOWN "0", ERR_FORMAT, 0},
    {"empty", "", ERR_FORMAT, 0},
    {"a letter between", "042647-302313x590458-071500-554323-116567-412181-516978", ERR_FORMAT, 3},
    {"a letter behind", KNOWN "x", ERR_FORMAT, 8},
    {"dash within a group", "042647-302-313-590458-071500-554323-116567-412181-516978", ERR_FORMAT, 2},
    {"en dashes", SPELLED("\xe2\x80\x93"), ERR_OK, 0},
    {"em dashes", SPELLED("\xe2\x80\x94"), ERR_OK, 0},
    {"figure dashes", SPELLED("\xe2\x80\x92"), ERR_OK, 0},
    {"horizontal bars", SPELLED("\xe2\x80\x95"), ERR_OK, 0},
    {"hyphens", SPELLED("\xe2\x80\x90"), ERR_OK, 0},
    {"non-breaking hyphens", SPELLED("\xe2\x80\x91"), ERR_OK, 0},
    {"minus signs", SPELLED("\xe2\x88\x92"), ERR_OK, 0},
    {"no-break spaces", SPELLED("\xc2\xa0"), ERR_OK, 0},
    {"narrow no-break spaces", SPELLED("\xe2\x80\xaf"), ERR_OK, 0},
    {"en dashes in no-break spaces", "\xc2\xa0" SPELLED("\xc2\xa0\xe2\x80\x93 ") "\xc2\xa0", ERR_OK, 0},
    {"typing error among en dashes",
     "042647\xe2\x80\x93"
     "302314\xe2\x80\x93" REST,
     ERR_RANGE, 2},
    {"half a dash behind", KNOWN "\xe2\x80", ERR_FORMAT, 8},
    {"half a dash between",
     "042647\xe2\x80"
     "302313" REST,
     ERR_FORMAT, 2},
    {"a euro sign between",
     "042647\xe2\x82\xac"
     "302313" REST,
     ERR_FORMAT, 2},
    {"newline behind", KNOWN "\n", ERR_FORMAT, 8},
};

static void decode_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof decode_rows / sizeof *decode_rows; i++) {
        const struct decode_row *row = &decode_rows[i];
        SECRET(got);
        unsigned group = 0;
        /* an allocation of exact size, so that a read beyond it is seen by the sanitizer */
        size_t len = strlen(row->text);
        char *text = malloc(len + 1);
        assert_non_null(text);
        memcpy(text, row->text, len);
        enum err err = rp_decode(text, len, &got, &group);
        free(text);
        if (err != row->err || group != row->group)
            fail_msg("%s: %s, group %u", row->name, err_name(err), group);
        if (got.len != (err == ERR_OK ? RP_BYTES : 0))
            fail_msg("%s: length %zu", row->name, got.len);
        if (err == ERR_OK && memcmp(got.bytes, vector_password, RP_BYTES) != 0)
            fail_msg("%s: other bytes", row->name);
    }
}

static void files(void **state)
{
    (void)state;
    static const struct decode_row rows[] = {
        {"a line", KNOWN "\n", ERR_OK, 0},
        {"a line of Windows", KNOWN "\r\n", ERR_OK, 0},
        {"blank lines around", "\r\n \t" KNOWN "\n\n \n", ERR_OK, 0},
        {"a byte order mark", "\xef\xbb\xbf" KNOWN "\r\n", ERR_OK, 0},
        {"a no-break space before the line's end", "\n" SPELLED("\xe2\x80\x93") "\xc2\xa0\r\n", ERR_OK, 0},
        {"half a byte order mark", "\xef\xbb" KNOWN, ERR_FORMAT, 1},
        {"a mark behind", KNOWN "\xef\xbb\xbf", ERR_FORMAT, 8},
        {"a line's end within", "042647\n302313-" REST, ERR_FORMAT, 2},
        {"typing error",
         "\xef\xbb\xbf"
         "042648-302313-" REST "\n",
         ERR_RANGE, 1},
        {"nothing", "", ERR_FORMAT, 0},
        {"a mark alone", "\xef\xbb\xbf", ERR_FORMAT, 0},
        {"line ends alone", "\r\n\r\n", ERR_FORMAT, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct decode_row *row = &rows[i];
        SECRET(got);
        unsigned group = 0;
        size_t len = strlen(row->text);
        char *text = malloc(len + 1);
        assert_non_null(text);
        memcpy(text, row->text, len);
        enum err err = rp_decode_file(text, len, &got, &group);
        free(text);
        if (err != row->err || group != row->group)
            fail_msg("%s: %s, group %u", row->name, err_name(err), group);
        if (err == ERR_OK && memcmp(got.bytes, vector_password, RP_BYTES) != 0)
            fail_msg("%s: other bytes", row->name);
    }
}

/* UTF-16 of an ASCII text, each dash an en dash, cut to every length. */
static void wide_file(void **state)
{
    (void)state;
    static const char text[] = KNOWN "\r\n";
    char wide[2 * sizeof text] = {'\xff', '\xfe'};
    for (size_t i = 0; i + 1 < sizeof text; i++) {
        wide[2 + 2 * i] = text[i] == '-' ? '\x13' : text[i];
        wide[3 + 2 * i] = text[i] == '-' ? '\x20' : 0;
    }
    for (size_t len = 0; len <= sizeof wide; len++) {
        SECRET(got);
        unsigned group = 0;
        char *cut = malloc(len + 1);
        assert_non_null(cut);
        memcpy(cut, wide, len);
        enum err err = rp_decode_file(cut, len, &got, &group);
        free(cut);
        if (len < 2 + 2 * RP_TEXT ? err != ERR_FORMAT || group != 0 : err != ERR_OK)
            fail_msg("cut to %zu bytes: %s, group %u", len, err_name(err), group);
        if (err == ERR_OK)
            assert_memory_equal(got.bytes, vector_password, RP_BYTES);
    }
}

static void every_truncation_fails(void **state)
{
    (void)state;
    for (size_t len = 0; len < RP_TEXT; len++) {
        SECRET(got);
        unsigned group = 99;
        if (rp_decode(KNOWN, len, &got, &group) != ERR_FORMAT || group != 0 || got.len != 0)
            fail_msg("cut to %zu characters", len);
    }
}

static void groups(void **state)
{
    (void)state;
    /* all million groups: exactly the 65,536 multiples of 11 are good, and each comes back as written */
    unsigned n_good = 0;
    for (unsigned v = 0; v < 1000000; v++) {
        char digits[6];
        uint16_t word = 0;
        for (unsigned i = 6, rest = v; i-- > 0; rest /= 10)
            digits[i] = (char)('0' + rest % 10);
        enum err err = rp_group_decode(digits, &word);
        if (err != (v % 11 == 0 && v / 11 <= 65535 ? ERR_OK : ERR_RANGE))
            fail_msg("group %06u: %s", v, err_name(err));
        if (err == ERR_OK && word * 11u != v)
            fail_msg("group %06u: word %u", v, word);
        n_good += err == ERR_OK;
    }
    assert_int_equal(n_good, 65536);
}

static void round_trip(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 500; seed++) {
        uint8_t bytes[RP_BYTES];
        SECRET(text);
        SECRET(back);
        unsigned group = 0;
        for (unsigned i = 0; i < RP_BYTES; i++)
            bytes[i] = (uint8_t)(seed < 2 ? seed * 255 : (seed * 2654435761u) >> (i % 24));
        rp_encode(bytes, &text);
        assert_int_equal(rp_decode((const char *)text.bytes, text.len, &back, &group), ERR_OK);
        assert_memory_equal(back.bytes, bytes, RP_BYTES);
    }
}

#define GUID "3FD763F9-74C7-4E90-8FA2-1F6A2E2B4E0C"

static const struct guid_row {
    const char *text;
    enum err err;
} guid_rows[] = {
    {GUID, ERR_OK},
    {"3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0c", ERR_OK},
    {"{3fd763f9-74C7-4e90-8fa2-1f6a2e2b4e0c}", ERR_OK},
    {"{3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0c", ERR_FORMAT},
    {"3fd763f974c74e908fa21f6a2e2b4e0c", ERR_FORMAT},
    {"3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0g", ERR_FORMAT},
    {"3fd763f-974c7-4e90-8fa2-1f6a2e2b4e0c", ERR_FORMAT},
    {"3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0c ", ERR_FORMAT},
    {"", ERR_FORMAT},
};

static void guids(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof guid_rows / sizeof *guid_rows; i++) {
        struct guid g = {{0}};
        const struct guid_row *row = &guid_rows[i];
        if (guid_decode(row->text, strlen(row->text), &g) != row->err)
            fail_msg("%s", row->text);
        if (row->err == ERR_OK && memcmp(g.bytes, vector_key_id, 16) != 0)
            fail_msg("%s: other bytes", row->text);
    }
    for (size_t len = 0; len < strlen(GUID); len++) {
        struct guid g;
        if (guid_decode(GUID, len, &g) != ERR_FORMAT)
            fail_msg("cut to %zu characters", len);
    }
}

static void guid_texts(void **state)
{
    (void)state;
    struct guid g, h;
    char text[GUID_TEXT], first[9];
    memcpy(g.bytes, vector_key_id, 16);
    guid_encode(&g, text);
    assert_string_equal(text, GUID);
    guid_encode_lower(&g, text);
    assert_string_equal(text, "3fd763f9-74c7-4e90-8fa2-1f6a2e2b4e0c");
    guid_short(&g, first);
    assert_string_equal(first, "3FD763F9");
    h = g;
    assert_true(guid_equal(&g, &h));
    h.bytes[15] ^= 1;
    assert_false(guid_equal(&g, &h));
    for (unsigned fill = 0; fill < 256; fill += 255) {
        uint8_t random[16];
        memset(random, (int)fill, sizeof random);
        guid_from_random(random, &g);
        guid_encode(&g, text);
        assert_int_equal(text[14], '4');
        assert_int_equal(text[19], fill ? 'B' : '8');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answer),
        cmocka_unit_test(decode_table),
        cmocka_unit_test(files),
        cmocka_unit_test(wide_file),
        cmocka_unit_test(every_truncation_fails),
        cmocka_unit_test(groups),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(guids),
        cmocka_unit_test(guid_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
