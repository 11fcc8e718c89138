/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/state/conf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

#define LONG100                                                                                              \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
#define LONG500 LONG100 LONG100 LONG100 LONG100 LONG100

static const struct {
    const char *text, *proxy, *no_proxy;
} good[] = {
    {"", "", ""},
    {"# nothing but words\n\n   \t\n#proxy = http://x:1", "", ""},
    {"proxy = http://proxy.example.org:3128\n", "http://proxy.example.org:3128", ""},
    {"proxy=https://u:p%40ss=word#1@[2001:db8::1]:8443", "https://u:p%40ss=word#1@[2001:db8::1]:8443", ""},
    {"\tno_proxy\t=  a.example, .b.example ,10.0.0.1\r\nproxy = http://p:1\r\n", "http://p:1",
     "a.example, .b.example ,10.0.0.1"},
    {"no_proxy = " LONG500, "", LONG500},
};

static const struct {
    const char *row, *text;
    unsigned line;
    enum err err;
} bad[] = {
    {"an unknown key", "# one\nproxi = http://p:1\n", 2, ERR_FORMAT},
    {"the beginning of a key", "prox = http://p:1\n", 1, ERR_FORMAT},
    {"no value", "no_proxy =\n", 1, ERR_FORMAT},
    {"no equals sign", "\n\nproxy http://p:1", 3, ERR_FORMAT},
    {"a key twice", "proxy = http://p:1\nproxy = http://p:1\n", 2, ERR_FORMAT},
    {"a proxy of an unknown kind", "proxy = ftp://p:1", 1, ERR_FORMAT},
    {"a proxy without a scheme", "proxy = p:3128", 1, ERR_FORMAT},
    {"a control character", "no_proxy = a\x07", 1, ERR_FORMAT},
    {"too long", "no_proxy = " LONG500 "x", 1, ERR_RANGE},
};

static void lines(void **state)
{
    (void)state;
    unsigned line = 77;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct conf c = {.proxy = "old", .no_proxy = "old"};
        assert_int_equal(conf_decode(good[i].text, strlen(good[i].text), &c, &line), ERR_OK);
        assert_string_equal(c.proxy, good[i].proxy);
        assert_string_equal(c.no_proxy, good[i].no_proxy);
    }
    assert_int_equal(line, 77);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct conf c = {.proxy = "old"};
        enum err e = conf_decode(bad[i].text, strlen(bad[i].text), &c, &line);
        if (e != bad[i].err || line != bad[i].line || strcmp(c.proxy, "old") != 0)
            fail_msg("%s: %s in line %u", bad[i].row, err_name(e), line);
    }
    struct conf c;
    assert_int_equal(conf_decode("no_proxy = a\0b", 14, &c, &line), ERR_FORMAT);
}

/* Nothing is read behind the end: each text stands alone on the heap. */
static void cut_anywhere(void **state)
{
    (void)state;
    struct conf c;
    unsigned line;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        for (size_t len = 0; len <= strlen(good[i].text); len++) {
            char *exact = malloc(len + 1);
            assert_non_null(exact);
            memcpy(exact, good[i].text, len);
            enum err e = conf_decode(exact, len, &c, &line);
            assert_true(e == ERR_OK || e == ERR_FORMAT);
            free(exact);
        }
}

static void file(void **state)
{
    (void)state;
    char dir[] = "/tmp/keyholt-conf-XXXXXX", path[64], command[96];
    struct conf c = {.proxy = "old"};
    struct problem why = {""};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(conf_load(dir, &c, &why), ERR_OK); /* none is an empty one */
    assert_string_equal(c.proxy, "");
    (void)snprintf(command, sizeof command, "mkdir -p %s/etc/keyholt", dir);
    assert_int_equal(system(command), 0);
    (void)snprintf(path, sizeof path, "%s/etc/keyholt/agent.conf", dir);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs("proxy = http://p:1\nbad\n", f) >= 0 && fclose(f) == 0);
    assert_int_equal(conf_load(dir, &c, &why), ERR_FORMAT);
    assert_non_null(strstr(why.text, "agent.conf: line 2"));
    (void)snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lines), cmocka_unit_test(cut_anywhere),
                                       cmocka_unit_test(file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
