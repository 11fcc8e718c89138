/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Choosing what to copy, and what is said about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include "efi/copy_list.h"
#include "efi/copy_name.h"
#include "efi/copy_pages.h"
#include "tests/unit/fake_tree.h"
#include <stdio.h>
#include <string.h>

static struct fake disk;
static struct copy_list list;
static struct page page;

/* E Enter, S space, u d arrows, U D pages, h e Home and End, b Backspace, r right, Q Esc; loads as it is
 * told. */
static enum copy_list_action type(const char *keys)
{
    static const struct {
        char letter;
        enum key key;
    } map[] = {{'E', KEY_ENTER},     {'S', KEY_SEPARATOR}, {'u', KEY_UP},   {'d', KEY_DOWN},
               {'U', KEY_PAGE_UP},   {'D', KEY_PAGE_DOWN}, {'h', KEY_HOME}, {'e', KEY_END},
               {'b', KEY_BACKSPACE}, {'r', KEY_RIGHT},     {'Q', KEY_ESC}};
    enum copy_list_action a = COPY_LIST_NOTHING;
    for (; *keys; keys++)
        for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
            if (map[i].letter == *keys) {
                a = copy_list_key(&list, map[i].key);
                if (a == COPY_LIST_LOAD)
                    assert_int_equal(copy_list_load(&list, &disk.tree), ERR_OK);
            }
    copy_list_page(&list, "laptop data", &page);
    return a;
}

static int setup(void **state)
{
    (void)state;
    fake_init(&disk);
    memset(&list, 0, sizeof list);
    fake_add(&disk, "zebra.txt", "z");
    fake_add(&disk, "Apple.txt", "a");
    fake_add(&disk, "home/me/letter.odt", "dear");
    fake_add(&disk, "Boot/x", "x");
    assert_int_equal(copy_list_load(&list, &disk.tree), ERR_OK);
    return 0;
}

static void shows(const char *const *lines)
{
    for (unsigned i = 0; lines[i]; i++)
        if (i >= page.n || strcmp(page.line[i], lines[i]) != 0)
            fail_msg("line %u: \"%s\"", i, i < page.n ? page.line[i] : "(none)");
}

static void test_list(void **state)
{
    static const char *const first[] = {"Copy everything",       "[ ] Boot  (folder)",
                                        "[ ] home  (folder)",    "[ ] Apple.txt  1 byte",
                                        "[ ] zebra.txt  1 byte", NULL};
    static const char *const marked[] = {"Copy what is marked: 1", "[ ] Boot  (folder)", "[x] home  (folder)",
                                         NULL};
    static const char *const inside[] = {"Copy everything in this folder", "..  (the folder above)",
                                         "[ ] letter.odt  4 bytes", NULL};
    (void)state;
    assert_int_equal(type(""), COPY_LIST_NOTHING);
    shows(first);
    assert_int_equal(page.n, 5);
    assert_string_equal(page.title, "Copy files from laptop data");
    assert_string_equal(page.message, "1 of 5: Copy everything");
    type("ddS");
    shows(marked);
    assert_string_equal(page.message, "3 of 5: [x] home  (folder)");
    type("SrdE"); /* unmarked, into home, to "up", up again */
    shows(first);
    type("ddEddE");
    shows(inside);
    assert_string_equal(page.title, "Copy files from laptop data: home\\me");
    assert_int_equal(type("bbb"), COPY_LIST_NOTHING); /* the root has nothing above */
    shows(first);
    assert_int_equal(type("E"), COPY_LIST_COPY);
    assert_int_equal(type("uE"), COPY_LIST_NOTHING); /* a file is marked by Enter, too */
    assert_string_equal(page.message, "5 of 5: [x] zebra.txt  1 byte");
    assert_int_equal(type("Q"), COPY_LIST_LEAVE);
    assert_int_equal(disk.opened, 0);
}

static void test_wanted(void **state)
{
    struct tree_entry e = {.size = 0};
    (void)state;
    copy_name_wide("home", e.name, TREE_NAME);
    assert_true(copy_list_wanted(&list, &e)); /* nothing marked: all */
    type("dS");
    assert_false(copy_list_wanted(&list, &e));
    type("dS");
    assert_true(copy_list_wanted(&list, &e));
    copy_name_wide("hom", e.name, TREE_NAME);
    assert_false(copy_list_wanted(&list, &e));
}

static void test_long_list(void **state)
{
    char name[32];
    (void)state;
    for (unsigned i = 0; i < COPY_LIST_MAX + 9; i++) {
        snprintf(name, sizeof name, "file%03u", i);
        fake_add(&disk, name, "x");
    }
    assert_int_equal(copy_list_load(&list, &disk.tree), ERR_OK);
    type("D");
    assert_true(list.more && list.at == PAGE_LINES && page.at == PAGE_LINES - 1 && page.n == PAGE_LINES);
    assert_non_null(strstr(page.message, "copy the whole folder"));
    type("e");
    assert_int_equal(list.at, COPY_LIST_MAX);
    type("d");
    assert_true(list.at == 0 && list.top == 0);
    type("DDUuh");
    assert_int_equal(list.top, 0);
}

/* Any keys: the line that is meant is always one that is shown. */
static void test_any_keys(void **state)
{
    unsigned seed = 7;
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1103515245u + 12345u;
        char key[2] = {"EESudUDheb r"[(seed >> 16) % 12], '\0'};
        type(key);
        assert_true(page.at < page.n && list.n_marked <= list.n);
    }
    assert_int_equal(disk.opened, 0);
}

static const struct copy_plan plan = {
    .files = 1204, .folders = 98, .bytes = 3100000000u, .need = 3200000000u};
static const struct copy_place place = {
    .label = "KINGSTON", .room = {.free = 14200000000u, .cluster = 4096, .file_max = UINT32_MAX}};

static void test_ask(void **state)
{
    struct copy_plan p = plan;
    struct copy_place small = place;
    (void)state;
    copy_page_ask(&page, "laptop data", &p, &place, "KEYHOLT-COPY-2026-11-26", false);
    assert_string_equal(page.line[0], "From laptop data: 1,204 files in 98 folders, 3.1 GB.");
    assert_string_equal(page.line[1],
                        "To the stick \"KINGSTON\", into the new folder KEYHOLT-COPY-2026-11-26; the "
                        "stick has 14 GB free.");
    assert_int_equal(page.n, 2);
    assert_non_null(strstr(page.message, "not be encrypted: whoever has the stick can read them"));
    p.n_large = 4;
    strcpy(p.large[0], "a.iso");
    strcpy(p.large[1], "b.iso");
    strcpy(p.large[2], "c.iso");
    p.unreadable = 1;
    small.room.free = 2000000000;
    copy_page_ask(&page, "laptop data", &p, &small, "K", true);
    assert_non_null(strstr(page.line[2], "Not all of it fits: 3.2 GB are needed"));
    assert_string_equal(page.line[3], "Left out: 4 files of 4 GiB and more, too large for this stick's file "
                                      "system: a.iso, b.iso, c.iso, ...");
    assert_string_equal(page.line[4], "1 folder cannot be read and will be missing.");
    memset(&p, 0, sizeof p);
    copy_page_ask(&page, "laptop data", &p, &place, "K", true);
    assert_non_null(strstr(page.message, "nothing to copy"));
}

static void test_progress(void **state)
{
    static const struct {
        uint64_t bytes, done;
        unsigned permille;
    } rows[] = {{0, 0, 1000},
                {10, 0, 0},
                {10, 5, 250},
                {10, 20, 1000},
                {10, 99, 1000},
                {1000, 1000, 500},
                {3100000000u, 3100000000u, 500},
                {UINT64_MAX, UINT64_MAX, 500}};
    static struct walk w;
    struct copy_progress now = {.doing = "Copying", .walk = &w};
    struct copy_plan p = plan;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        p.bytes = rows[i].bytes;
        now.done = rows[i].done;
        copy_page_progress(&page, &p, &now);
        assert_true(page.bar);
        assert_int_equal(page.permille, rows[i].permille);
    }
}

static void test_result(void **state)
{
    static char notes[] = "other name, b_: b?\r\ncould not be read: a\r\nfolder lies too deep: c\r\n";
    static struct copy c;
    (void)state;
    c.sure = (struct copy_tally){.files = 1204, .bytes = 3100000000u};
    copy_page_result(&page, &c, &plan, COPY_DONE, "K");
    assert_string_equal(page.line[0], "Copied, read back and found equal: 1,204 files, 3.1 GB.");
    assert_string_equal(page.line[1], "They are in the folder K of the stick.");
    assert_int_equal(page.n, 2);
    assert_int_equal(page.tone, TONE_GOOD);
    c.notes = notes;
    c.sure = (struct copy_tally){
        .files = 1, .bytes = 999, .renamed = 1, .failed = 2, .notes_len = sizeof notes - 1};
    copy_page_result(&page, &c, &plan, COPY_DONE, "K");
    assert_string_equal(page.line[0], "Copied, read back and found equal: 1 of 1,204 files, 999 bytes.");
    assert_string_equal(page.line[2], "Not copied: 2 files and folders.");
    assert_string_equal(page.line[3], "could not be read: a");
    assert_string_equal(page.line[4], "folder lies too deep: c");
    assert_non_null(strstr(page.line[6], "listed on the stick, in K.txt"));
    assert_int_equal(page.tone, TONE_ASK);
    for (enum copy_end end = COPY_DONE; end <= COPY_STICK_FAULT; end++) {
        copy_page_result(&page, &c, &plan, end, "K");
        assert_true(strlen(page.message) > 20 && strlen(page.message) < MODEL_MESSAGE - 1);
        assert_int_equal(copy_can_go_on(end), strstr(page.keys, "goes on") != NULL);
    }
}

static void test_folder_name(void **state)
{
    char name[COPY_FOLDER];
    (void)state;
    copy_folder_name(2026, 11, 6, name);
    assert_string_equal(name, "KEYHOLT-COPY-2026-11-06");
    copy_folder_name(0, 0, 0, name);
    assert_string_equal(name, "KEYHOLT-COPY");
}

static void test_no_driver(void **state)
{
    (void)state;
    copy_page_no_driver(&page, "laptop data", "NTFS", 0);
    assert_string_equal(page.message, "laptop data holds a file system (NTFS) that cannot be read here.");
    assert_non_null(strstr(page.line[0], "EFI\\keyholt\\drivers"));
    assert_int_equal(page.n, 2);
    copy_page_no_driver(&page, "laptop data", NULL, 2);
    assert_string_equal(page.message,
                        "laptop data holds something that is not known here, and cannot be read here.");
    assert_string_equal(page.line[1],
                        "2 drivers there were refused by Secure Boot: not signed by a key that is trusted "
                        "here.");
    copy_page_no_driver(&page, "laptop data", "FAT", 0);
    assert_non_null(strstr(page.line[0], "too little memory"));
}

static void test_no_stick(void **state)
{
    (void)state;
    copy_page_no_stick(&page, NULL);
    assert_int_equal(page.n, 1);
    assert_string_equal(page.message, "Plug in a USB stick.");
    copy_page_no_stick(&page, &place);
    assert_non_null(strstr(page.line[0], "The stick \"KINGSTON\" is write-protected"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_list, setup),
                                       cmocka_unit_test_setup(test_wanted, setup),
                                       cmocka_unit_test_setup(test_long_list, setup),
                                       cmocka_unit_test_setup(test_any_keys, setup),
                                       cmocka_unit_test(test_ask),
                                       cmocka_unit_test(test_progress),
                                       cmocka_unit_test(test_result),
                                       cmocka_unit_test(test_folder_name),
                                       cmocka_unit_test(test_no_driver),
                                       cmocka_unit_test(test_no_stick)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
