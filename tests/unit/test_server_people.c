/* SPDX-License-Identifier: GPL-3.0-or-later */
/* People, options, configuration: what a person writes, read strictly. */
#include "crypto/host/file.h"
#include "escrow-server/places.h"
#include "escrow-server/vault/people.h"
#include "escrow-server/verb/options.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/keyholt-people-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"/users.json", "/etc/keyholt/server.conf", "/etc/keyholt", "/etc",
                                        ""};
    char path[128];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s%s", folder, names[i]);
        (void)remove(path);
    }
    return 0;
}

/* What is complained about goes where nobody reads it. */
static void quietly(void (*what)(void))
{
    int err = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    what();
    dup2(err, STDERR_FILENO);
    close(null);
    close(err);
}

static void set_secret(struct secret *s, const char *text)
{
    s->len = strlen(text);
    memcpy(s->bytes, text, s->len);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool good;
    } rows[] = {{"alice", true}, {"a.b@example.org", true}, {"müller", true}, {"", false},
                {"a b", false},  {"a\"b", false},           {"a:b", false},   {"a\nb", false},
                {"a\xff", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (people_name_is_good(rows[i].name) != rows[i].good)
            fail_msg("name %s", rows[i].name);
}

/* source: RFC 6238 appendix B, SHA-1; of 8 digits the last 6 */
static const uint8_t rfc_seed[TOTP_SECRET] = {'1', '2', '3', '4', '5', '6', '7', '8', '9', '0',
                                              '1', '2', '3', '4', '5', '6', '7', '8', '9', '0'};

static void test_roles(void **state)
{
    static const struct {
        const char *list;
        bool good;
    } rows[] = {{"", true},
                {" , ", true},
                {"helpdesk", true},
                {"helpdesk, advanced", true},
                {"reader,auditor administrator", true},
                {"helpdsk", false},
                {"helpdesk;advanced", false},
                {"helpdesk, administratorss", false},
                {"helpdesk, a-word-that-is-longer-than-any", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (people_are_roles(rows[i].list) != rows[i].good)
            fail_msg("%s", rows[i].list);
}

static void test_totp(void **state)
{
    (void)state;
    static const struct {
        uint64_t time;
        const char *code;
    } rows[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
                {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t t = rows[i].time, step = 0;
        char code[TOTP_DIGITS + 1];
        assert_int_equal(totp_code(rfc_seed, t / 30, code), ERR_OK);
        if (strcmp(code, rows[i].code) != 0)
            fail_msg("time %llu: %s", (unsigned long long)t, code);
        assert_int_equal(totp_check(rfc_seed, code, t + 30, 0, &step), ERR_OK);
        assert_int_equal(step, t / 30);
        assert_int_equal(totp_check(rfc_seed, code, t - 30, 0, &step), ERR_OK);
        assert_int_equal(totp_check(rfc_seed, code, t + 60, 0, &step), ERR_AUTH);
        assert_int_equal(totp_check(rfc_seed, code, t, t / 30, &step), ERR_AUTH); /* used */
        assert_int_equal(totp_check(rfc_seed, "", t, 0, &step), ERR_AUTH);
        code[0] = code[0] == '9' ? '0' : '9';
        assert_int_equal(totp_check(rfc_seed, code, t, 0, &step), ERR_AUTH);
    }
}

static void test_people(void **state)
{
    char path[128];
    struct person who = {.role = 0};
    SECRET(good);
    SECRET(wrong);
    (void)state;
    snprintf(path, sizeof path, "%s/users.json", folder);
    set_secret(&good, "a good password");
    set_secret(&wrong, "another password");
    assert_int_equal(people_check(path, "alice", &good, &who), ERR_NOT_FOUND);
    assert_int_equal(people_add(path, "alice", PEOPLE_ADVANCED, &good), ERR_NOT_FOUND);
    assert_int_equal(people_begin(path), ERR_OK);
    assert_int_equal(people_add(path, "alice", PEOPLE_ADVANCED, &good), ERR_OK);
    assert_int_equal(people_add(path, "bob", PEOPLE_HELP_DESK, &wrong), ERR_OK);
    assert_int_equal(people_add(path, "alice", PEOPLE_ADVANCED, &wrong), ERR_CONFLICT);
    assert_int_equal(people_check(path, "alice", &good, &who), ERR_OK);
    assert_int_equal(who.role, PEOPLE_ADVANCED);
    bool known = false;
    assert_int_equal(people_known(path, "alice", &known), ERR_OK);
    assert_true(known);
    assert_int_equal(people_known(path, "Alice", &known), ERR_OK);
    assert_false(known);
    assert_int_equal(people_check(path, "bob", &wrong, &who), ERR_OK);
    assert_int_equal(who.role, PEOPLE_HELP_DESK);
    who.role = 0;
    assert_int_equal(people_check(path, "alice", &wrong, &who), ERR_AUTH);
    assert_int_equal(people_check(path, "carol", &good, &who), ERR_AUTH);
    assert_int_equal(people_check(path, "Alice", &good, &who), ERR_AUTH);
    set_secret(&wrong, "");
    assert_int_equal(people_check(path, "alice", &wrong, &who), ERR_AUTH);
    assert_int_equal(who.role, 0);
    assert_false(who.has_totp);
    assert_int_equal(people_set_totp(path, "carol", rfc_seed), ERR_NOT_FOUND);
    assert_int_equal(people_set_totp(path, "alice", rfc_seed), ERR_OK);
    assert_int_equal(people_check(path, "alice", &good, &who), ERR_OK);
    assert_true(who.has_totp && memcmp(who.totp, rfc_seed, TOTP_SECRET) == 0);
    set_secret(&wrong, "short");
    assert_int_equal(people_add(path, "dave", PEOPLE_ADVANCED, &wrong), ERR_RANGE);
}

static void test_changes(void **state)
{
    char path[128];
    struct person who;
    struct people_row *rows = NULL;
    struct stat st;
    size_t n = 0;
    SECRET(one);
    SECRET(two);
    (void)state;
    snprintf(path, sizeof path, "%s/users.json", folder);
    set_secret(&one, "the first one");
    set_secret(&two, "the second one");
    assert_int_equal(people_list(path, &rows, &n), ERR_NOT_FOUND);
    assert_int_equal(people_remove(path, "alice"), ERR_NOT_FOUND);
    assert_int_equal(people_begin(path), ERR_OK);
    assert_int_equal(people_add(path, "alice", PEOPLE_ADVANCED, &one), ERR_OK);
    assert_int_equal(people_add(path, "bob", PEOPLE_READER, &one), ERR_OK);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(people_set_totp(path, "bob", rfc_seed), ERR_OK);
    assert_int_equal(people_set_role(path, "bob", PEOPLE_HELP_DESK), ERR_OK);
    assert_int_equal(people_set_password(path, "bob", &two), ERR_OK);
    assert_int_equal(people_check(path, "bob", &one, &who), ERR_AUTH);
    assert_int_equal(people_check(path, "bob", &two, &who), ERR_OK);
    assert_true(who.has_totp && who.role == PEOPLE_HELP_DESK);
    assert_int_equal(people_list(path, &rows, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_string_equal(rows[0].name, "alice");
    assert_true(rows[1].has_totp && !rows[0].has_totp && rows[1].role == PEOPLE_HELP_DESK);
    free(rows);
    assert_int_equal(people_set_totp(path, "bob", NULL), ERR_OK);
    assert_int_equal(people_check(path, "bob", &two, &who), ERR_OK);
    assert_false(who.has_totp);
    set_secret(&one, "short");
    assert_int_equal(people_set_password(path, "bob", &one), ERR_RANGE);
    assert_int_equal(people_set_role(path, "carol", PEOPLE_HELP_DESK), ERR_NOT_FOUND);
    assert_int_equal(people_remove(path, "bob"), ERR_OK);
    assert_int_equal(people_remove(path, "bob"), ERR_NOT_FOUND);
    assert_int_equal(people_check(path, "bob", &two, &who), ERR_AUTH);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(file_write(path, "{\"users\":[{}]}", 14, 0600), ERR_OK);
    assert_int_equal(people_list(path, &rows, &n), ERR_FORMAT);
}

static void check_options(void)
{
    const char *text = NULL;
    uint64_t number = 0;
    bool flag = false;
    struct option_list list = {.n = 0}, rest = {.n = 0};
    const struct option_def defs[] = {{"text", OPTION_TEXT, true, &text},
                                      {"number", OPTION_NUMBER, false, &number},
                                      {"flag", OPTION_FLAG, false, &flag},
                                      {"list", OPTION_LIST, false, &list},
                                      {NULL, OPTION_REST, false, &rest}};
    static const struct {
        const char *name;
        const char *argv[6];
        enum err want;
    } rows[] = {{"plain", {"--text", "x"}, ERR_OK},
                {"equals", {"--text=x=y", "--number=7", "--flag", "word"}, ERR_OK},
                {"list", {"--text", "x", "--list", "a", "--list", "b"}, ERR_OK},
                {"required is missing", {"--number", "7"}, ERR_FORMAT},
                {"unknown", {"--text", "x", "--what"}, ERR_FORMAT},
                {"a beginning is not enough", {"--tex", "x"}, ERR_FORMAT},
                {"no value", {"--text"}, ERR_FORMAT},
                {"twice", {"--text", "x", "--text", "y"}, ERR_FORMAT},
                {"no number", {"--text", "x", "--number", "7a"}, ERR_FORMAT},
                {"negative", {"--text", "x", "--number", "-1"}, ERR_FORMAT},
                {"a flag with a value", {"--text", "x", "--flag=1"}, ERR_FORMAT}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char words[6][16], *argv[6];
        int argc = 0;
        for (; argc < 6 && rows[i].argv[argc] != NULL; argc++) {
            snprintf(words[argc], sizeof words[argc], "%s", rows[i].argv[argc]);
            argv[argc] = words[argc];
        }
        list.n = rest.n = 0;
        enum err e = options_parse(argc, argv, defs, 5, "usage\n");
        if (e != rows[i].want)
            fail_msg("%s: %s", rows[i].name, err_name(e));
        if (i == 1) {
            assert_string_equal(text, "x=y");
            assert_int_equal(number, 7);
            assert_true(flag);
            assert_string_equal(rest.item[0], "word");
        }
        if (i == 2)
            assert_int_equal(list.n, 2);
    }
}

static void test_options(void **state)
{
    (void)state;
    quietly(check_options);
}

static enum err load_text(const char *text, struct conf *ret)
{
    char path[128];
    snprintf(path, sizeof path, "%s/etc/keyholt", folder);
    assert_int_equal(file_mkdirs(path, 0700), ERR_OK);
    snprintf(path, sizeof path, "%s/etc/keyholt/server.conf", folder);
    assert_int_equal(file_write(path, text, strlen(text), 0600), ERR_OK);
    return conf_load(folder, ret);
}

static void check_conf(void)
{
    struct conf c, again;
    static const struct {
        const char *name, *text;
        enum err want;
    } rows[] = {{"empty", "", ERR_OK},
                {"comments and blanks", "# a\n\n \t web-uid =  5 \r\n", ERR_OK},
                {"no line end", "web-workers = 2", ERR_OK},
                {"unknown name", "web-uids = 5\n", ERR_FORMAT},
                {"no equals", "web-uid 5\n", ERR_FORMAT},
                {"no number", "web-uid = five\n", ERR_FORMAT},
                {"too many", "web-workers = 17\n", ERR_FORMAT},
                {"none", "disclosures-per-hour = 0\n", ERR_FORMAT}};
    assert_int_equal(conf_load(folder, &c), ERR_NOT_FOUND);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum err e = load_text(rows[i].text, &c);
        if (e != rows[i].want)
            fail_msg("%s: %s", rows[i].name, err_name(e));
        if (i == 1)
            assert_int_equal(c.uid[PROCESS_WEB], 5);
    }
    conf_init(&c);
    c.web_workers = 3;
    snprintf(c.root_key, sizeof c.root_key, "/a b/root.key");
    assert_int_equal(conf_save(folder, &c), ERR_OK);
    assert_int_equal(conf_load(folder, &again), ERR_OK);
    assert_string_equal(again.root_key, c.root_key);
    assert_int_equal(again.web_workers, 3);
    assert_int_equal(again.uid[PROCESS_VAULT], c.uid[PROCESS_VAULT]);
}

static void test_conf(void **state)
{
    (void)state;
    quietly(check_conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_totp),
        cmocka_unit_test_setup_teardown(test_people, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_changes, make_folder, remove_folder),
        cmocka_unit_test(test_options),
        cmocka_unit_test_setup_teardown(test_conf, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
