/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables and texts for people: aligned, broken at the width, no colour where none is wanted. */
#include "agent/command/page.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static char *text;
static size_t len;

static struct page open_page(unsigned width, bool colour)
{
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    struct page p;
    page_open(&p, f);
    assert_false(p.colour); /* memory is no terminal */
    assert_int_equal(p.width, 0);
    p.width = width;
    p.colour = colour;
    return p;
}

static void expect(struct page *p, const char *want)
{
    assert_int_equal(fclose(p->to), 0);
    assert_string_equal(text, want);
    free(text);
}

static void print_table(const struct page *p)
{
    static const char *const head[] = {"VOLUME", "STATE", "WHY"};
    static const char *const rows[][3] = {{"/dev/sda2", "protected", NULL},
                                          {"/dev/Schlüssel", "not", "one two three four five six"},
                                          {"/dev/x\033[1m", "?", "supercalifragilisticexpialidocious"}};
    struct page_table t;
    page_table_init(&t, head, 3, 1);
    page_table_add(&t, TONE_GOOD, rows[0]);
    page_table_add(&t, TONE_BAD, rows[1]);
    page_table_add(&t, TONE_WARN, rows[2]);
    page_table_print(p, &t);
    page_table_free(&t);
}

static void tables(void **state)
{
    (void)state;
    struct page p = open_page(0, false);
    print_table(&p);
    expect(&p, "VOLUME          STATE      WHY\n"
               "/dev/sda2       protected  \n"
               "/dev/Schlüssel  not        one two three four five six\n"
               "/dev/x?[1m      ?          supercalifragilisticexpialidocious\n");
    p = open_page(47, false);
    print_table(&p);
    expect(&p, "VOLUME          STATE      WHY\n"
               "/dev/sda2       protected  \n"
               "/dev/Schlüssel  not        one two three four\n"
               "                           five six\n"
               "/dev/x?[1m      ?          supercalifragilistic\n"
               "                           expialidocious\n");
    p = open_page(20, false); /* too narrow to break anything in a way that helps */
    print_table(&p);
    expect(&p, "VOLUME          STATE      WHY\n"
               "/dev/sda2       protected  \n"
               "/dev/Schlüssel  not        one two three four five six\n"
               "/dev/x?[1m      ?          supercalifragilisticexpialidocious\n");
}

static void colours(void **state)
{
    (void)state;
    static const char *const head[] = {"A", "B"}, *const row[] = {"x", "yes"};
    struct page_table t;
    struct page p = open_page(0, true);
    page_table_init(&t, head, 2, 0);
    page_table_add(&t, TONE_BAD, row);
    page_table_print(&p, &t);
    page_table_free(&t);
    expect(&p, "\033[1mA\033[0m  \033[1mB\033[0m\n\033[31mx\033[0m  yes\n");
}

static void pairs(void **state)
{
    (void)state;
    struct page p = open_page(34, false);
    page_pair(&p, "computer", "laptop");
    page_pair(&p, "organisation", "a very long name of one");
    page_text(&p, 2, "short");
    expect(&p, "computer      laptop\n"
               "organisation  a very long name of\n"
               "              one\n"
               "  short\n");
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        unsigned long long bytes;
        const char *text;
    } rows[] = {{0, "0 bytes"},
                {1023, "1023 bytes"},
                {1024, "1.0 KiB"},
                {1048575, "1023.9 KiB"},
                {1048576, "1.0 MiB"},
                {1000204886016ull, "931.5 GiB"},
                {~0ull, "18446744073709551615 bytes"}};
    char is[PAGE_SIZE_TEXT + 8];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        page_size(rows[i].bytes, is);
        assert_string_equal(is, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables), cmocka_unit_test(colours),
                                       cmocka_unit_test(pairs), cmocka_unit_test(sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
