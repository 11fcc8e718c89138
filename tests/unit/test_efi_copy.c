/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counting and copying, between file systems in memory that fail in every way a stick can. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on
#include "efi/copy.h"
#include "efi/copy_name.h"
#include "tests/unit/fake_tree.h"
#include <stdio.h>
#include <string.h>

static struct fake disk, stick;
static struct walk walk;
static struct copy_batch batch;
static uint8_t buffer[COPY_BUFFER];
static char notes[COPY_NOTES];
static struct copy copy;
static const uint16_t root[] = {0};
static uint16_t base[TREE_NAME];
static struct copy_choice choice;
static struct copy_room room;
static unsigned steps_left; /* until a person presses Escape */

static bool patient(void *ctx, const struct copy_progress *p)
{
    (void)ctx;
    (void)p;
    return steps_left == 0 || --steps_left > 0;
}

static bool counting(void *ctx, const struct copy_plan *p)
{
    (void)ctx;
    (void)p;
    return true;
}

static int setup(void **state)
{
    (void)state;
    fake_init(&disk);
    fake_init(&stick);
    memset(&copy, 0, sizeof copy);
    copy_name_wide("COPY", base, TREE_NAME);
    choice = (struct copy_choice){.folder = root};
    room = (struct copy_room){.free = 1 << 20, .cluster = 512, .file_max = COPY_FAT_FILE_MAX};
    steps_left = 0;
    copy = (struct copy){.from = &disk.tree,
                         .to = &stick.tree,
                         .choice = &choice,
                         .room = &room,
                         .base = base,
                         .go_on = patient,
                         .walk = &walk,
                         .batch = &batch,
                         .buffer = buffer,
                         .notes = notes};
    notes[0] = '\0';
    fake_add(&disk, "a.txt", "alpha");
    fake_add(&disk, "docs/b.txt", "bravo bravo");
    fake_add(&disk, "docs/deep/c.txt", "");
    fake_add_folder(&disk, "empty");
    fake_add(&disk, "docs/d.txt", "delta");
    return 0;
}

static void is_there(const struct fake *f, const char *path, const char *data)
{
    const struct tree_node *n = fake_find(f, path);
    if (!n)
        fail_msg("%s is not there", path);
    assert_int_equal(n->size, strlen(data));
    assert_memory_equal(n->data, data, n->size);
}

static void all_is_there(const struct fake *f, const char *folder)
{
    static const struct {
        const char *path, *data;
    } files[] = {
        {"a.txt", "alpha"}, {"docs/b.txt", "bravo bravo"}, {"docs/deep/c.txt", ""}, {"docs/d.txt", "delta"}};
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", folder, files[i].path);
        is_there(f, path, files[i].data);
    }
}

static void nothing_open(void)
{
    assert_int_equal(disk.opened, 0);
    assert_int_equal(stick.opened, 0);
}

static void test_plan(void **state)
{
    struct copy_plan p;
    (void)state;
    disk.node[1].size = 513;
    fake_add(&disk, "huge.iso", "")->size = (uint64_t)UINT32_MAX + 1;
    fake_add(&disk, "large.iso", "")->size = UINT32_MAX;
    assert_int_equal(copy_plan_make(&walk, &disk.tree, &choice, &room, counting, NULL, &p), ERR_OK);
    assert_int_equal(p.files, 5);
    assert_int_equal(p.folders, 3);
    assert_int_equal(p.n_large, 1);
    assert_string_equal(p.large[0], "huge.iso");
    assert_int_equal(p.bytes, 513 + 11 + 5 + (uint64_t)UINT32_MAX);
    /* clusters of files, one for each folder, two entries of 32 bytes for each short name */
    assert_int_equal(p.need, 1024 + 512 + 0 + 512 + (1ull << 32) + 3 * 512 + 8 * 64);
    room.free = p.need;
    assert_true(copy_plan_fits(&p, &room));
    room.free--;
    assert_false(copy_plan_fits(&p, &room));
    nothing_open();
}

static void test_plan_never_overflows(void **state)
{
    struct copy_plan p;
    (void)state;
    room.file_max = UINT64_MAX;
    fake_add(&disk, "lie1", "")->size = UINT64_MAX;
    fake_add(&disk, "lie2", "")->size = UINT64_MAX - 5;
    assert_int_equal(copy_plan_make(&walk, &disk.tree, &choice, &room, counting, NULL, &p), ERR_OK);
    assert_true(p.bytes == UINT64_MAX && p.need == UINT64_MAX && !copy_plan_fits(&p, &room));
}

static void test_all(void **state)
{
    (void)state;
    assert_int_equal(copy_run(&copy), COPY_DONE);
    all_is_there(&stick, "COPY");
    assert_true(fake_find(&stick, "COPY/empty")->folder);
    assert_int_equal(copy.sure.files, 4);
    assert_int_equal(copy.sure.bytes, 21);
    assert_int_equal(copy.sure.failed + copy.sure.renamed + copy.sure.notes_len, 0);
    assert_int_equal(fake_files(&stick), 4); /* no notes about nothing */
    assert_int_equal(fake_find(&stick, "COPY/a.txt")->times[0], 7);
    assert_int_equal(disk.written, 0);
    assert_true(stick.refreshed > 0);
    nothing_open();
}

static void test_nothing_is_written_over(void **state)
{
    (void)state;
    fake_add(&stick, "COPY/a.txt", "was here");
    fake_add(&stick, "copy~2", "this, too");
    assert_int_equal(copy_run(&copy), COPY_DONE);
    is_there(&stick, "COPY/a.txt", "was here");
    is_there(&stick, "copy~2", "this, too");
    all_is_there(&stick, "COPY~3");
}

static bool only_docs(void *ctx, const struct tree_entry *e)
{
    (void)ctx;
    return e->name[0] == 'd';
}

static void test_choice(void **state)
{
    static uint16_t docs[8];
    (void)state;
    choice.wanted = only_docs;
    assert_int_equal(copy_run(&copy), COPY_DONE);
    assert_int_equal(copy.sure.files, 3);
    is_there(&stick, "COPY/docs/b.txt", "bravo bravo");
    setup(NULL);
    copy_name_wide("docs", docs, 8);
    choice.folder = docs;
    assert_int_equal(copy_run(&copy), COPY_DONE);
    is_there(&stick, "COPY/b.txt", "bravo bravo");
    assert_int_equal(copy.sure.files, 3);
}

static void test_names(void **state)
{
    (void)state;
    disk.case_counts = true;
    fake_add(&disk, "what?/x:y.txt", "1");
    fake_add(&disk, "Docs2/readme", "2");
    fake_add(&disk, "Docs2/README", "3"); /* two names where case counts, one on FAT */
    assert_int_equal(copy_run(&copy), COPY_DONE);
    is_there(&stick, "COPY/what_/x_y.txt", "1");
    is_there(&stick, "COPY/Docs2/readme", "2");
    is_there(&stick, "COPY/Docs2/README~2", "3");
    assert_int_equal(copy.sure.renamed, 3);
    assert_non_null(strstr(notes, "other name, x_y.txt: what?\\x:y.txt\r\n"));
    assert_non_null(strstr(notes, "other name, what_: what?\r\n"));
    assert_int_equal(fake_find(&stick, "COPY.txt")->size, strlen(notes));
}

static void test_full_then_another_stick(void **state)
{
    static struct fake second;
    (void)state;
    stick.room = 18;
    assert_int_equal(copy_run(&copy), COPY_STICK_FULL);
    assert_int_equal(copy.sure.files, 3);
    assert_null(fake_find(&stick, "COPY/docs/d.txt")); /* nothing half */
    is_there(&stick, "COPY/docs/b.txt", "bravo bravo");
    nothing_open();
    fake_init(&second);
    copy.to = &second.tree;
    assert_int_equal(copy_run(&copy), COPY_DONE);
    assert_int_equal(copy.sure.files, 4);
    assert_int_equal(fake_files(&second), 1);
    is_there(&second, "COPY/docs/d.txt", "delta");
    assert_null(fake_find(&second, "COPY/docs/deep"));
    assert_int_equal(second.opened, 0);
}

static void test_pulled_out(void **state)
{
    static struct fake second;
    (void)state;
    for (uint64_t after = 0; after < 21; after++) {
        setup(NULL);
        stick.gone_after = after;
        assert_int_equal(copy_run(&copy), COPY_STICK_GONE);
        assert_int_equal(copy.sure.files, 0); /* nothing was read back yet */
        assert_int_equal(disk.opened, 0);
        fake_init(&second);
        copy.to = &second.tree;
        assert_int_equal(copy_run(&copy), COPY_DONE);
        all_is_there(&second, "COPY");
        assert_int_equal(copy.sure.files, 4);
    }
}

/* More than a batch: what was read back before stands. */
static void test_pulled_out_late(void **state)
{
    static struct fake second;
    char name[32];
    (void)state;
    for (unsigned i = 0; i < 2 * COPY_BATCH_FILES; i++) {
        snprintf(name, sizeof name, "many/%03u", i);
        fake_add(&disk, name, "0123456789");
    }
    stick.gone_after = 10 * (COPY_BATCH_FILES + 50);
    assert_int_equal(copy_run(&copy), COPY_STICK_GONE);
    assert_int_equal(copy.sure.files, COPY_BATCH_FILES);
    fake_init(&second);
    copy.to = &second.tree;
    assert_int_equal(copy_run(&copy), COPY_DONE);
    assert_int_equal(copy.sure.files, 2 * COPY_BATCH_FILES + 4);
    assert_int_equal(fake_files(&second), COPY_BATCH_FILES + 4);
}

static void test_locked(void **state)
{
    (void)state;
    stick.locked = true;
    assert_int_equal(copy_run(&copy), COPY_STICK_LOCKED);
    assert_int_equal(copy.sure.files + copy.sure.items, 0);
    assert_int_equal(stick.n, 1);
    nothing_open();
}

static void test_a_stick_that_lies(void **state)
{
    (void)state;
    stick.flips = true;
    assert_int_equal(copy_run(&copy), COPY_DONE);
    assert_int_equal(copy.sure.files, 1); /* the empty one */
    assert_int_equal(copy.sure.failed, 3);
    assert_null(fake_find(&stick, "COPY/a.txt"));
    assert_non_null(strstr(notes, "did not read back"));
    nothing_open();
}

static void test_unreadable(void **state)
{
    (void)state;
    fake_add(&disk, "bad.bin", "xx")->unreadable = true;
    fake_add_folder(&disk, "bad")->unreadable = true;
    fake_add(&disk, "large", "")->size = (uint64_t)UINT32_MAX + 1;
    assert_int_equal(copy_run(&copy), COPY_DONE);
    all_is_there(&stick, "COPY");
    assert_null(fake_find(&stick, "COPY/bad.bin"));
    assert_int_equal(copy.sure.failed, 3);
    assert_non_null(strstr(notes, "could not be read: bad.bin\r\n"));
    assert_non_null(strstr(notes, "folder could not be read, or not whole: bad\r\n"));
    assert_non_null(strstr(notes, "4 GiB and more): large\r\n"));
}

/* A name that this stick's driver does not take: that file is missing, the others are there. */
static void test_refused(void **state)
{
    (void)state;
    stick.refused = '!';
    fake_add(&disk, "a!", "x");
    fake_add(&disk, "b!/x", "y");
    assert_int_equal(copy_run(&copy), COPY_DONE);
    all_is_there(&stick, "COPY");
    assert_int_equal(copy.sure.failed, 2);
    assert_non_null(strstr(notes, "does not take: a!\r\n"));
    assert_non_null(strstr(notes, "does not take: b!\\x\r\n"));
    nothing_open();
}

static void test_source_gone(void **state)
{
    (void)state;
    disk.gone = true;
    assert_int_equal(copy_run(&copy), COPY_SOURCE_GONE);
    nothing_open();
}

/* Escape after any step: nothing half, and the next run makes it whole. */
static void test_stopped(void **state)
{
    unsigned stopped = 0;
    (void)state;
    for (unsigned at = 1; at < 30; at++) {
        setup(NULL);
        steps_left = at;
        enum copy_end end = copy_run(&copy);
        nothing_open();
        assert_int_equal(fake_files(&stick), copy.sure.files);
        stopped += end == COPY_STOPPED;
        steps_left = 0;
        if (end != COPY_DONE)
            assert_int_equal(copy_run(&copy), COPY_DONE);
        assert_int_equal(copy.sure.files, 4);
        assert_int_equal(fake_files(&stick), 4);
    }
    assert_true(stopped >= 5);
}

/* As deep as a driver that follows links in a circle makes it. */
static void test_depth(void **state)
{
    char path[4 * WALK_DEPTH] = "l";
    (void)state;
    for (unsigned i = 0; i < WALK_DEPTH + 3; i++)
        strcat(path, "/l");
    fake_add(&disk, path, "x");
    assert_int_equal(copy_run(&copy), COPY_DONE);
    assert_int_equal(copy.sure.files, 4);
    assert_int_equal(copy.sure.failed, 1);
    assert_non_null(strstr(notes, "folder lies too deep: l\\l\\"));
    nothing_open();
}

static void test_many_notes(void **state)
{
    char name[96];
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        snprintf(name, sizeof name, "a_rather_long_name_of_a_file_that_FAT_cannot_hold_%03u?", i);
        fake_add(&disk, name, "");
    }
    assert_int_equal(copy_run(&copy), COPY_DONE);
    assert_int_equal(copy.sure.renamed, 600);
    assert_true(copy.sure.notes_cut && copy.sure.notes_len < COPY_NOTES);
    assert_int_equal(strlen(notes), copy.sure.notes_len);
    assert_true(fake_find(&stick, "COPY.txt")->size > copy.sure.notes_len);
}

int main(void)
{
#define ROW(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {ROW(test_plan),
                                       ROW(test_plan_never_overflows),
                                       ROW(test_all),
                                       ROW(test_nothing_is_written_over),
                                       ROW(test_choice),
                                       ROW(test_names),
                                       ROW(test_full_then_another_stick),
                                       ROW(test_pulled_out),
                                       ROW(test_pulled_out_late),
                                       ROW(test_locked),
                                       ROW(test_a_stick_that_lies),
                                       ROW(test_unreadable),
                                       ROW(test_refused),
                                       ROW(test_source_gone),
                                       ROW(test_stopped),
                                       ROW(test_depth),
                                       ROW(test_many_notes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
