/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON walker below LUKS2 headers and org.json. */
#include "formats/json_walk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N(a) (sizeof(a) / sizeof(a)[0])

static uint8_t scratch[65536];

static enum err parse(const char *text, struct jw *ret)
{
    return jw_parse(text, strlen(text), scratch, sizeof scratch, ret);
}

/* source: RFC 8259; the refused ones are what jsmn alone lets pass, and the classics */
static const struct {
    const char *text;
    enum err want;
} grammar[] = {
    {"{}", ERR_OK},
    {"[]", ERR_OK},
    {" [ 1 , 2 ] \n", ERR_OK},
    {"{\"a\":{\"b\":[{}]},\"c\":\"\"}", ERR_OK},
    {"[0,-0,1.5,1e9,-1.5E-9,true,false,null]", ERR_OK},
    {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"]", ERR_OK},
    {"", ERR_FORMAT},
    {" ", ERR_FORMAT},
    {"{", ERR_FORMAT},
    {"}", ERR_FORMAT},
    {"[}", ERR_FORMAT},
    {"{]", ERR_FORMAT},
    {"[1", ERR_FORMAT},
    {"{}{}", ERR_FORMAT},
    {"{},", ERR_FORMAT},
    {"{\"a\"}", ERR_FORMAT},
    {"{\"a\":}", ERR_FORMAT},
    {"{\"a\":1,}", ERR_FORMAT},
    {"{,\"a\":1}", ERR_FORMAT},
    {"{\"a\" 1}", ERR_FORMAT},
    {"{\"a\":1 \"b\":2}", ERR_FORMAT},
    {"{\"a\":1:2}", ERR_FORMAT},
    {"{\"a\":1,2}", ERR_FORMAT},
    {"{a:1}", ERR_FORMAT},
    {"{1:1}", ERR_FORMAT},
    {"{'a':1}", ERR_FORMAT},
    {"{[]:1}", ERR_FORMAT},
    {"[1,]", ERR_FORMAT},
    {"[,1]", ERR_FORMAT},
    {"[1,,2]", ERR_FORMAT},
    {"[1 2]", ERR_FORMAT},
    {"[\"a\":1]", ERR_FORMAT},
    {"[01]", ERR_FORMAT},
    {"[+1]", ERR_FORMAT},
    {"[-]", ERR_FORMAT},
    {"[.5]", ERR_FORMAT},
    {"[1.]", ERR_FORMAT},
    {"[1e]", ERR_FORMAT},
    {"[0x10]", ERR_FORMAT},
    {"[1x]", ERR_FORMAT},
    {"[NaN]", ERR_FORMAT},
    {"[True]", ERR_FORMAT},
    {"[truee]", ERR_FORMAT},
    {"[tru]", ERR_FORMAT},
    {"[nul", ERR_FORMAT},
    {"[\"a]", ERR_FORMAT},
    {"[\"a\\\"]", ERR_FORMAT},
    {"[\"\\x41\"]", ERR_FORMAT},
    {"[\"\\u12g4\"]", ERR_FORMAT},
    {"[\"\\u123\"]", ERR_FORMAT},
    {"[\"a\nb\"]", ERR_FORMAT},
    {"/* */[]", ERR_FORMAT},
    {"[]//", ERR_FORMAT},
};

static void test_grammar(void **state)
{
    (void)state;
    struct jw j;
    unsigned failed = 0;
    for (size_t i = 0; i < N(grammar); i++) {
        enum err e = parse(grammar[i].text, &j);
        if (e != grammar[i].want) {
            print_error("%s: %s, not %s\n", grammar[i].text, err_name(e), err_name(grammar[i].want));
            failed++;
        }
    }
    assert_int_equal(failed, 0);
    assert_int_equal(jw_parse("[\"\0\"]", 5, scratch, sizeof scratch, &j), ERR_FORMAT);
}

static void test_depth(void **state)
{
    (void)state;
    char text[201];
    struct jw j;
    for (size_t depth = 1; depth <= 100; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        enum err e = jw_parse(text, 2 * depth, scratch, sizeof scratch, &j);
        assert_int_equal(e, depth <= JW_DEPTH ? ERR_OK : ERR_FORMAT);
        text[depth] = '0';
        memset(text + depth + 1, ']', depth);
        e = jw_parse(text, 2 * depth + 1, scratch, sizeof scratch, &j);
        assert_int_equal(e, depth < JW_DEPTH ? ERR_OK : ERR_FORMAT);
    }
}

static void test_walk(void **state)
{
    (void)state;
    struct jw j;
    struct jw_each e;
    assert_int_equal(parse("{\"a\":{\"x\":[1,[2,3],{\"y\":4}]},\"b\":5,\"a\\u0062\":6,\"b\":7}", &j), ERR_OK);
    assert_int_equal(jw_count(&j, JW_ROOT), 4);
    int x = jw_get(&j, jw_get(&j, JW_ROOT, "a"), "x");
    assert_int_equal(jw_type(&j, x), JW_ARRAY);
    assert_int_equal(jw_count(&j, x), 3);
    unsigned n = 0;
    enum jw_type want[] = {JW_NUMBER, JW_ARRAY, JW_OBJECT};
    for (jw_each(&j, x, &e); jw_each_next(&j, &e); n++) {
        assert_int_equal(e.name, JW_NONE);
        assert_int_equal(jw_type(&j, e.value), want[n]);
    }
    assert_int_equal(n, 3);
    uint64_t v;
    assert_int_equal(jw_u64(&j, jw_get(&j, JW_ROOT, "b"), JW_NUMBER, 100, &v), ERR_OK);
    assert_int_equal(v, 7); /* the last of two counts */
    assert_int_equal(jw_u64(&j, jw_get(&j, JW_ROOT, "ab"), JW_NUMBER, 100, &v), ERR_OK);
    assert_int_equal(v, 6);
    assert_int_equal(jw_get(&j, JW_ROOT, "c"), JW_NONE);
    assert_int_equal(jw_get(&j, JW_NONE, "c"), JW_NONE);
    assert_int_equal(jw_get(&j, x, "y"), JW_NONE);
    assert_int_equal(jw_get_as(&j, JW_ROOT, "b", JW_STRING), JW_NONE);
    assert_int_equal(jw_type(&j, JW_NONE), JW_MISSING);
    jw_each(&j, JW_NONE, &e);
    assert_false(jw_each_next(&j, &e));
}

static const struct {
    const char *text; /* an array of one element */
    enum jw_type type;
    enum err want;
    uint64_t value;
} numbers[] = {
    {"[0]", JW_NUMBER, ERR_OK, 0},
    {"[\"0\"]", JW_STRING, ERR_OK, 0},
    {"[\"18446744073709551615\"]", JW_STRING, ERR_OK, UINT64_MAX},
    {"[18446744073709551615]", JW_NUMBER, ERR_OK, UINT64_MAX},
    {"[18446744073709551616]", JW_NUMBER, ERR_RANGE, 0},
    {"[\"99999999999999999999999\"]", JW_STRING, ERR_RANGE, 0},
    {"[1]", JW_STRING, ERR_FORMAT, 0},
    {"[\"1\"]", JW_NUMBER, ERR_FORMAT, 0},
    {"[\"\"]", JW_STRING, ERR_FORMAT, 0},
    {"[\" 1\"]", JW_STRING, ERR_FORMAT, 0},
    {"[\"-1\"]", JW_STRING, ERR_FORMAT, 0},
    {"[-1]", JW_NUMBER, ERR_FORMAT, 0},
    {"[1.0]", JW_NUMBER, ERR_FORMAT, 0},
    {"[1e3]", JW_NUMBER, ERR_FORMAT, 0},
    {"[1.0]", JW_REAL, ERR_FORMAT, 0},
    {"[true]", JW_NUMBER, ERR_FORMAT, 0},
    {"[[]]", JW_NUMBER, ERR_FORMAT, 0},
    {"[[]]", JW_ARRAY, ERR_FORMAT, 0},
};

static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(numbers); i++) {
        struct jw j;
        uint64_t v = 42;
        assert_int_equal(parse(numbers[i].text, &j), ERR_OK);
        enum err e = jw_u64(&j, 1, numbers[i].type, UINT64_MAX, &v);
        if (e != numbers[i].want || v != (e == ERR_OK ? numbers[i].value : 42))
            fail_msg("%s: %s", numbers[i].text, err_name(e));
    }
}

static const struct {
    const char *text;
    enum err want;
    const char *value;
} texts[] = {
    {"[\"abc\"]", ERR_OK, "abc"},
    {"[\"\"]", ERR_OK, ""},
    {"[\"\\/\\\\\\\"\\b\\f\\n\\r\\t\"]", ERR_OK, "/\\\"\b\f\n\r\t"},
    {"[\"\\u0041\\u00e9\\u20AC\"]", ERR_OK, "A\xc3\xa9\xe2\x82\xac"},
    {"[\"\\ud83d\\ude00\"]", ERR_OK, "\xf0\x9f\x98\x80"},
    {"[\"\xc3\xa9\xf0\x9f\x98\x80\"]", ERR_OK, "\xc3\xa9\xf0\x9f\x98\x80"},
    {"[\"123456789\"]", ERR_OK, "123456789"},
    {"[\"1234567890\"]", ERR_FULL, NULL},
    {"[\"12345678\xc3\xa9\"]", ERR_FULL, NULL},
    {"[\"\\u0000\"]", ERR_FORMAT, NULL},
    {"[\"\\ud83d\"]", ERR_FORMAT, NULL},
    {"[\"\\ud83d\\u0041\"]", ERR_FORMAT, NULL},
    {"[\"\\ude00\\ud83d\"]", ERR_FORMAT, NULL},
    {"[\"\xff\"]", ERR_FORMAT, NULL},
    {"[\"\xc0\xaf\"]", ERR_FORMAT, NULL},         /* overlong */
    {"[\"\xed\xa0\x80\"]", ERR_FORMAT, NULL},     /* surrogate */
    {"[\"\xf4\x90\x80\x80\"]", ERR_FORMAT, NULL}, /* beyond U+10FFFF */
    {"[\"\xe2\x82\"]", ERR_FORMAT, NULL},
    {"[1]", ERR_FORMAT, NULL},
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        struct jw j;
        char got[10] = "untouched";
        size_t len = 42;
        assert_int_equal(parse(texts[i].text, &j), ERR_OK);
        enum err e = jw_text(&j, 1, got, sizeof got, &len);
        if (e != texts[i].want || strcmp(got, e == ERR_OK ? texts[i].value : "untouched") != 0)
            fail_msg("row %zu, %s: %s", i, texts[i].text, err_name(e));
        if (e == ERR_OK) {
            assert_int_equal(len, strlen(got));
            assert_true(jw_is(&j, 1, texts[i].value) && jw_starts(&j, 1, ""));
            assert_false(jw_is(&j, 1, "other"));
        }
    }
}

static void test_bytes(void **state)
{
    (void)state;
    struct jw j;
    uint8_t got[4];
    size_t len;
    assert_int_equal(parse("[\"S0\\u0068FAQ==\",\"S0hFAQI=\",\"S0hFAQ\",1]", &j), ERR_OK);
    assert_int_equal(jw_base64(&j, 1, got, sizeof got, &len), ERR_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(got, "KHE\1", 4);
    assert_int_equal(jw_base64(&j, 2, got, sizeof got, &len), ERR_FULL);
    assert_int_equal(jw_base64(&j, 3, got, sizeof got, &len), ERR_FORMAT);
    assert_int_equal(jw_base64(&j, 4, got, sizeof got, &len), ERR_FORMAT);
}

static void test_bool(void **state)
{
    (void)state;
    struct jw j;
    bool got = false;
    assert_int_equal(parse("[true,false,null,\"true\",1]", &j), ERR_OK);
    assert_int_equal(jw_bool(&j, 1, &got), ERR_OK);
    assert_true(got);
    assert_int_equal(jw_bool(&j, 2, &got), ERR_OK);
    assert_false(got);
    for (int i = 3; i <= 6; i++)
        assert_int_equal(jw_bool(&j, i == 6 ? JW_NONE : i, &got), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bool),  cmocka_unit_test(test_grammar), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_walk),  cmocka_unit_test(test_numbers), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
