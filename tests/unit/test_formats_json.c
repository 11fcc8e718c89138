/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/host/json_strict.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static const struct parse_row {
    const char *name, *text;
    enum err err;
} parse_rows[] = {
    {"empty object", "{}", ERR_OK},
    {"white space around", " \r\n{ \"a\" :\t1 }\n\n", ERR_OK},
    {"colons in strings", "{\"a:b\":\"c:d\",\"e\":[\":\",\"\\\":\"]}", ERR_OK},
    {"same key in different objects", "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}", ERR_OK},
    {"UTF-8",
     "{\"gr\xc3\xb6\xc3\x9f"
     "e\":\"\xf0\x9f\x94\x91\"}",
     ERR_OK},
    {"null", "{\"a\":null}", ERR_OK},
    {"key twice", "{\"a\":1,\"a\":1}", ERR_FORMAT},
    {"key twice, one null", "{\"a\":null,\"b\":1,\"a\":2}", ERR_FORMAT},
    {"key twice, deep", "{\"x\":[{\"y\":{\"a\":1,\"b\":2,\"a\":3}}]}", ERR_FORMAT},
    {"key twice, one escaped", "{\"a\":1,\"\\u0061\":2}", ERR_FORMAT},
    {"key twice, slash escaped", "{\"/\":1,\"\\/\":2}", ERR_FORMAT},
    {"key twice around a value that was an object", "{\"a\":{\"b\":1},\"a\":2}", ERR_FORMAT},
    {"zero byte escaped in a key", "{\"a\\u0000b\":1}", ERR_FORMAT},
    {"zero byte escaped in a value", "{\"a\":\"b\\u0000c\"}", ERR_FORMAT},
    {"backslash before the text u0000", "{\"a\":\"b\\\\u0000c\"}", ERR_OK},
    {"empty", "", ERR_FORMAT},
    {"white space", "  ", ERR_FORMAT},
    {"array", "[]", ERR_FORMAT},
    {"number", "1", ERR_FORMAT},
    {"text", "\"a\"", ERR_FORMAT},
    {"null alone", "null", ERR_FORMAT},
    {"two objects", "{}{}", ERR_FORMAT},
    {"a letter behind", "{}x", ERR_FORMAT},
    {"a comment", "{/* a */}", ERR_FORMAT},
    {"single quotes", "{'a':1}", ERR_FORMAT},
    {"no quotes", "{a:1}", ERR_FORMAT},
    {"comma behind the last", "{\"a\":1,}", ERR_FORMAT},
    {"comma behind the last element", "{\"a\":[1,]}", ERR_FORMAT},
    {"newline in a string", "{\"a\":\"b\nc\"}", ERR_FORMAT},
    {"escape character in a string", "{\"a\":\"\x1b\"}", ERR_FORMAT},
    {"broken UTF-8", "{\"a\":\"\xc3\"}", ERR_FORMAT},
    {"overlong UTF-8", "{\"a\":\"\xc0\xaf\"}", ERR_FORMAT},
    {"UTF-8 of a surrogate", "{\"a\":\"\xed\xa0\x80\"}", ERR_FORMAT},
    {"byte-order mark", "\xef\xbb\xbf{}", ERR_FORMAT},
    {"capital TRUE", "{\"a\":TRUE}", ERR_FORMAT},
};

static enum err parse_exact(const char *text, size_t len)
{
    struct json_object *o = NULL;
    char *in = malloc(len + 1); /* of exact size for the sanitizer; no zero byte behind */
    assert_non_null(in);
    memcpy(in, text, len);
    enum err err = json_strict_parse(in, len, &o);
    free(in);
    if ((err == ERR_OK) != (o != NULL))
        fail_msg("result and object do not agree");
    json_object_put(o);
    return err;
}

static void parse_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parse_rows / sizeof *parse_rows; i++) {
        enum err err = parse_exact(parse_rows[i].text, strlen(parse_rows[i].text));
        if (err != parse_rows[i].err)
            fail_msg("%s: %s", parse_rows[i].name, err_name(err));
    }
    assert_int_equal(parse_exact("{\"a\":\0 1}", 9), ERR_FORMAT);
    assert_int_equal(parse_exact("{}\0", 3), ERR_FORMAT);
}

static void every_truncation_fails(void **state)
{
    (void)state;
    static const char text[] = "{\"n\":12,\"a\":[1,{\"b\":\"x\\\"\\u00e9\"},null,true],\"c\":{\"d\":-1.5e3}}";
    assert_int_equal(parse_exact(text, sizeof text - 1), ERR_OK);
    for (size_t len = 0; len < sizeof text - 1; len++)
        if (parse_exact(text, len) != ERR_FORMAT)
            fail_msg("cut to %zu bytes", len);
}

static enum err parse_deep(unsigned depth, const char *inside)
{
    char text[256] = "{\"a\":", *p = text + strlen(text);
    memset(p, '[', depth - 1);
    p += depth - 1;
    strcpy(p, depth == 1 ? "1" : inside);
    p += strlen(p);
    memset(p, ']', depth - 1);
    strcpy(p + depth - 1, "}");
    return parse_exact(text, strlen(text));
}

static void depth(void **state)
{
    (void)state;
    static const char *const inside[] = {"", "1", "\"[[[[\"", "{}"};
    for (unsigned d = 1; d <= 40; d++) {
        for (unsigned i = 0; i < 4; i++) {
            unsigned levels = d + (i == 3 && d > 1);
            if (parse_deep(d, inside[i]) != (levels <= JSON_DEPTH_MAX ? ERR_OK : ERR_RANGE))
                fail_msg("depth %u with %s: %s", d, inside[i], err_name(parse_deep(d, inside[i])));
        }
    }
}

static void size(void **state)
{
    (void)state;
    char *text = malloc(JSON_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, 'x', JSON_BYTES_MAX + 1);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + JSON_BYTES_MAX - 2, "\"} ", 3);
    assert_int_equal(parse_exact(text, JSON_BYTES_MAX), ERR_OK);
    assert_int_equal(parse_exact(text, JSON_BYTES_MAX + 1), ERR_RANGE);
    free(text);
}

static void members(void **state)
{
    (void)state;
    static const char text[] =
        "{\"t\":\"four\",\"e\":\"\",\"n\":7,\"big\":18446744073709551614,\"max\":18446744073709551615,"
        "\"huge\":99999999999999999999999,\"neg\":-1,\"f\":1.0,\"b\":\"Zm9v\",\"bad\":\"Zm9\",\"h\":"
        "\"666F6f\","
        "\"a\":[1,2,3],\"null\":null}";
    struct json_object *o = NULL, *a = NULL;
    const char *t = NULL;
    uint64_t u = 0;
    uint8_t bytes[3];
    size_t len = 0;
    assert_int_equal(json_strict_parse(text, sizeof text - 1, &o), ERR_OK);
    assert_int_equal(json_get_text(o, "t", 4, &t), ERR_OK);
    assert_string_equal(t, "four");
    assert_int_equal(json_get_text(o, "t", 3, &t), ERR_RANGE);
    assert_int_equal(json_get_text(o, "e", 0, &t), ERR_OK);
    assert_int_equal(json_get_text(o, "n", 9, &t), ERR_FORMAT);
    assert_int_equal(json_get_text(o, "null", 9, &t), ERR_FORMAT);
    assert_int_equal(json_get_text(o, "none", 9, &t), ERR_NOT_FOUND);
    assert_int_equal(json_get_u64(o, "n", &u), ERR_OK);
    assert_int_equal(u, 7);
    assert_int_equal(json_get_u64(o, "big", &u), ERR_OK);
    assert_true(u == UINT64_MAX - 1);
    assert_int_equal(json_get_u64(o, "max", &u), ERR_RANGE);
    assert_int_equal(json_get_u64(o, "huge", &u), ERR_RANGE);
    assert_int_equal(json_get_u64(o, "neg", &u), ERR_RANGE);
    assert_int_equal(json_get_u64(o, "f", &u), ERR_FORMAT);
    assert_int_equal(json_get_u64(o, "t", &u), ERR_FORMAT);
    assert_int_equal(json_get_base64(o, "b", bytes, 3, &len), ERR_OK);
    assert_memory_equal(bytes, "foo", 3);
    assert_int_equal(json_get_base64(o, "b", bytes, 2, &len), ERR_RANGE);
    assert_int_equal(json_get_base64(o, "bad", bytes, 3, &len), ERR_FORMAT);
    assert_int_equal(json_get_hex(o, "h", bytes, 3), ERR_OK);
    assert_int_equal(json_get_hex(o, "h", bytes, 2), ERR_RANGE);
    assert_int_equal(json_get_hex(o, "e", bytes, 2), ERR_RANGE);
    assert_int_equal(json_get_hex(o, "t", bytes, 2), ERR_FORMAT);
    assert_int_equal(json_get_array(o, "a", 3, &a), ERR_OK);
    assert_int_equal(json_get_array(o, "a", 2, &a), ERR_RANGE);
    assert_int_equal(json_get_array(o, "t", 2, &a), ERR_FORMAT);
    json_object_put(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_table), cmocka_unit_test(every_truncation_fails),
        cmocka_unit_test(depth),       cmocka_unit_test(size),
        cmocka_unit_test(members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
