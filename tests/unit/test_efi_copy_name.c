/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names on their way to FAT, and for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include "efi/copy_name.h"
#include "efi/copy_plan.h"
#include <string.h>

static void widen(const char *text, uint16_t ret[static TREE_NAME])
{
    size_t i = 0;
    for (; text[i]; i++)
        ret[i] = (unsigned char)text[i];
    ret[i] = 0;
}

static void narrow(const uint16_t *name, char ret[static TREE_NAME])
{
    size_t i = 0;
    for (; name[i]; i++)
        ret[i] = (char)name[i];
    ret[i] = '\0';
}

static void test_safe(void **state)
{
    static const struct {
        const char *name, *safe;
        bool changed;
    } rows[] = {{"letter.odt", "letter.odt", false},
                {".bashrc", ".bashrc", false},
                {"a b+c=d,e;f[g]", "a b+c=d,e;f[g]", false},
                {"what?", "what_", true},
                {"a:b\"c*d<e>f|g\\h/i", "a_b_c_d_e_f_g_h_i", true},
                {"bell\a.txt", "bell_.txt", true},
                {"\x7f", "_", true},
                {"end.", "end_", true},
                {"end . ", "end___", true},
                {"...", "___", true},
                {"", "_", true},
                {"con", "con_", true},
                {"Con.txt", "Con_.txt", true},
                {"nul.tar.gz", "nul_.tar.gz", true},
                {"COM1", "COM1_", true},
                {"lpt9.x", "lpt9_.x", true},
                {"COM0", "COM0", false},
                {"COM12", "COM12", false},
                {"contract", "contract", false},
                {"con?", "con_", true}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint16_t name[TREE_NAME], safe[TREE_NAME];
        char got[TREE_NAME];
        widen(rows[i].name, name);
        bool changed = copy_name_make_safe(name, safe);
        narrow(safe, got);
        if (strcmp(got, rows[i].safe) != 0 || changed != rows[i].changed)
            fail_msg("\"%s\": \"%s\"", rows[i].name, got);
    }
}

static void test_longest(void **state)
{
    uint16_t name[TREE_NAME], safe[TREE_NAME], other[TREE_NAME];
    char text[TREE_NAME];
    (void)state;
    memset(text, 'x', TREE_NAME - 1);
    text[TREE_NAME - 1] = '\0';
    widen(text, name);
    assert_false(copy_name_make_safe(name, safe));
    copy_name_other(name, 12, other);
    narrow(other, text);
    assert_int_equal(strlen(text), TREE_NAME - 1);
    assert_string_equal(text + TREE_NAME - 1 - 4, "x~12");
    memcpy(text, "nul.", 4);
    widen(text, name);
    assert_true(copy_name_make_safe(name, safe));
    narrow(safe, text);
    assert_int_equal(strlen(text), TREE_NAME - 1);
    assert_memory_equal(text, "nul_.", 5);
}

static void test_other(void **state)
{
    static const struct {
        const char *name;
        unsigned n;
        const char *other;
    } rows[] = {{"photo.jpg", 2, "photo~2.jpg"},
                {"photo.tar.gz", 3, "photo.tar~3.gz"},
                {"Makefile", 10, "Makefile~10"},
                {".bashrc", 2, ".bashrc~2"},
                {"a.", 999, "a~999."}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint16_t name[TREE_NAME], other[TREE_NAME];
        char got[TREE_NAME];
        widen(rows[i].name, name);
        copy_name_other(name, rows[i].n, other);
        narrow(other, got);
        assert_string_equal(got, rows[i].other);
    }
}

static void test_utf8(void **state)
{
    static const uint16_t mixed[] = {'a', 0xe4, 0x20ac, 0xd83d, 0xde00, 'z', 0},
                          lone[] = {0xd83d, 'a', 0xde00, 0}, cut[] = {'a', 0xd83d, 0};
    char text[32];
    (void)state;
    assert_int_equal(copy_name_utf8(mixed, text, sizeof text), 11);
    assert_string_equal(text, "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
    copy_name_utf8(lone, text, sizeof text);
    assert_string_equal(text, "?a?");
    copy_name_utf8(cut, text, sizeof text);
    assert_string_equal(text, "a?");
    for (size_t cap = 1; cap <= 12; cap++) { /* never half a character */
        size_t len = copy_name_utf8(mixed, text, cap);
        assert_true(len < cap && strlen(text) == len);
        assert_true(len != 2 && len != 4 && len != 5 && len != 7 && len != 8 && len != 9);
    }
}

/* UTF-8 in units of one byte is undone; everything else stays as it is. */
static void test_mend(void **state)
{
    static const struct {
        uint16_t name[8], want[8];
    } rows[] = {{{'a', 'b'}, {'a', 'b'}},
                {{'g', 0xc3, 0xbc, 0xc3, 0x9f}, {'g', 0xfc, 0xdf}},
                {{0xe2, 0x82, 0xac}, {0x20ac}},
                {{0xf0, 0x9f, 0x98, 0x80, 'x'}, {0xd83d, 0xde00, 'x'}},
                {{0xfc}, {0xfc}},                         /* a real one */
                {{0xc3, 0xbc, 0xfc}, {0xc3, 0xbc, 0xfc}}, /* not throughout */
                {{0xc3}, {0xc3}},                         /* cut */
                {{0xc0, 0x80}, {0xc0, 0x80}},             /* overlong */
                {{0xed, 0xa0, 0x80}, {0xed, 0xa0, 0x80}}, /* half a pair */
                {{0xc3, 0x1bc}, {0xc3, 0x1bc}},           /* no byte */
                {{0x20ac, 0xc3, 0xbc}, {0x20ac, 0xc3, 0xbc}}};
    uint16_t got[TREE_NAME], full[TREE_NAME];
    char text[16];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        copy_name_mend(rows[i].name, got);
        assert_memory_equal(got, rows[i].want, (tree_len(rows[i].want) + 1) * sizeof *got);
    }
    copy_name_utf8(rows[1].name, text, sizeof text);
    assert_string_equal(text, "g\xc3\xbc\xc3\x9f");
    for (size_t i = 0; i < TREE_NAME - 1; i++)
        full[i] = 'x';
    full[TREE_NAME - 1] = 0;
    copy_name_mend(full, got);
    assert_memory_equal(got, full, sizeof full);
}

static void test_short_path(void **state)
{
    uint16_t path[200];
    char got[COPY_NAME_TEXT];
    (void)state;
    copy_name_wide("Users\\a\\b.txt", path, 200);
    copy_short_path(path, got);
    assert_string_equal(got, "Users\\a\\b.txt");
    for (size_t i = 0; i < 199; i++)
        path[i] = 0x20ac;
    path[199] = 0;
    copy_short_path(path, got);
    assert_int_equal(strlen(got), 2 + 60);
    assert_memory_equal(got, "..\xe2\x82\xac", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_safe),  cmocka_unit_test(test_longest),
                                       cmocka_unit_test(test_other), cmocka_unit_test(test_utf8),
                                       cmocka_unit_test(test_mend),  cmocka_unit_test(test_short_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
