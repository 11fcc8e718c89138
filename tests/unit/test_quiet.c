/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of devices that need not be told anything: what the writer puts, web workers find, and nothing
 * else. */
#include "escrow-server/process/quiet.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static struct quiet device(uint8_t n)
{
    struct quiet q = {.courier = {n}, .envelopes = {n}, .last = {n}};
    memset(q.device, n, sizeof q.device);
    return q;
}

static void put(const struct quiet *q)
{
    quiet_put(q, quiet_drops(q->device));
}

static int write_fd, read_fd;

/* One set of places, so that every device meets every other. */
static int open_table(void **state)
{
    (void)state;
    return quiet_make(1, &write_fd, &read_fd) == ERR_OK && quiet_open(dup(write_fd), true) == ERR_OK ? 0 : -1;
}

static int close_table(void **state)
{
    (void)state;
    close(write_fd);
    close(read_fd);
    return 0;
}

static void test_only_who_says_the_same(void **state)
{
    (void)state;
    struct quiet q = device(1), other;
    q.has_packages = true;
    q.packages[7] = 9;
    assert_false(quiet_has(&q));
    put(&q);
    assert_true(quiet_has(&q));
    const size_t differ[] = {offsetof(struct quiet, device) + 15, offsetof(struct quiet, courier) + 31,
                             offsetof(struct quiet, envelopes) + 7, offsetof(struct quiet, last) + 7,
                             offsetof(struct quiet, packages) + 7};
    for (size_t i = 0; i < sizeof differ / sizeof differ[0]; i++) {
        other = q;
        ((uint8_t *)&other)[differ[i]] ^= 1;
        assert_false(quiet_has(&other));
    }
    other = q;
    other.has_packages = false;
    assert_false(quiet_has(&other));
}

static void test_the_last_word_counts(void **state)
{
    (void)state;
    struct quiet before = device(1), after = before;
    after.envelopes[0] = 7;
    put(&before);
    put(&after);
    assert_true(quiet_has(&after));
    assert_false(quiet_has(&before));
    quiet_drop(before.device);
    assert_false(quiet_has(&after));
    quiet_drop(before.device); /* one that is not there */
}

static void test_full_places_lose_the_oldest(void **state)
{
    unsigned left = 0;
    (void)state;
    for (uint8_t n = 1; n <= 5; n++) {
        const struct quiet q = device(n);
        put(&q);
        usleep(2000); /* the clock is one of milliseconds */
    }
    for (uint8_t n = 1; n <= 5; n++) {
        const struct quiet q = device(n);
        left += quiet_has(&q);
    }
    assert_int_equal(left, 4);
    const struct quiet first = device(1), free_again = device(3), more = device(9);
    assert_false(quiet_has(&first));
    quiet_drop(free_again.device);
    put(&more); /* takes the free place and nobody's */
    for (uint8_t n = 2; n <= 5; n++) {
        const struct quiet q = device(n);
        assert_int_equal(quiet_has(&q), n != 3);
    }
}

static void test_another_process_sees_it_come_and_go(void **state)
{
    int to[2], from[2], status;
    char word = 0;
    (void)state;
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    pid_t pid = fork();
    if (pid == 0) {
        const struct quiet q = device(2);
        if (quiet_open(dup(read_fd), false) != ERR_OK)
            _exit(9);
        while (read(to[0], &word, 1) == 1 && word != 'e') {
            word = quiet_has(&q) ? 'y' : 'n';
            if (write(from[1], &word, 1) != 1)
                _exit(8);
        }
        _exit(0);
    }
    const struct quiet q = device(2);
    const char *const expected = "nyn";
    for (unsigned i = 0; i < 3; i++) {
        if (i == 1)
            put(&q);
        if (i == 2)
            quiet_drop(q.device);
        assert_int_equal(write(to[1], "?", 1), 1);
        assert_int_equal(read(from[0], &word, 1), 1);
        assert_int_equal(word, expected[i]);
    }
    assert_int_equal(write(to[1], "e", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(to[0]), close(to[1]), close(from[0]), close(from[1]);
}

/* What concerns a device between its sync and the answer: what the sync knew is old then. */
static void test_old_knowledge_is_not_put(void **state)
{
    (void)state;
    const struct quiet q = device(1), other = device(2);
    uint32_t before = quiet_drops(q.device);
    quiet_drop(q.device); /* nothing was there */
    quiet_put(&q, before);
    assert_false(quiet_has(&q));
    quiet_put(&q, quiet_drops(q.device));
    assert_true(quiet_has(&q));
    before = quiet_drops(q.device);
    quiet_drop(other.device); /* it has the same places: rather once too often than not */
    assert_true(quiet_has(&q));
    assert_int_not_equal(before, quiet_drops(q.device));
}

/* Cleared for the next writer, also after one that was killed while it wrote; until then that entry counts
 * for nobody. */
static void test_a_new_writer_begins_with_nothing(void **state)
{
    struct {
        uint64_t turn, rest[5]; /* as in quiet.c */
    } *entry = mmap(NULL, 4 * sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, write_fd, 0);
    (void)state;
    assert_ptr_not_equal(entry, MAP_FAILED);
    const struct quiet q = device(1), amid = device(2);
    put(&q);
    assert_int_equal(quiet_clear(write_fd), ERR_OK);
    assert_false(quiet_has(&q));
    assert_int_equal(quiet_open(dup(write_fd), true), ERR_OK);
    assert_false(quiet_has(&q));
    put(&amid);
    for (unsigned i = 0; i < 4; i++)
        entry[i].turn |= entry[i].turn != 0;
    assert_false(quiet_has(&amid));
    assert_int_equal(quiet_clear(write_fd), ERR_OK);
    put(&amid);
    assert_true(quiet_has(&amid));
    assert_int_equal(quiet_open(dup(read_fd), false), ERR_OK);
    assert_true(quiet_has(&amid));
    assert_int_not_equal(quiet_clear(read_fd), ERR_OK);
    munmap(entry, 4 * sizeof *entry);
}

/* A taken-over web worker must not be able to keep an order from a device at the other workers. */
static void test_who_reads_cannot_write(void **state)
{
    char path[40];
    int status;
    (void)state;
    assert_ptr_equal(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, read_fd, 0), MAP_FAILED);
    assert_int_not_equal(ftruncate(write_fd, 0), 0);
    if (geteuid() != 0) {
        print_message("SKIP: another user cannot be played without root\n");
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", read_fd);
        if (setgid(64801) != 0 || setuid(64801) != 0)
            _exit(9);
        _exit(open(path, O_RDWR) >= 0 ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_refusals(void **state)
{
    int a, b, pipes[2];
    (void)state;
    assert_int_equal(quiet_make(0, &a, &b), ERR_RANGE);
    assert_int_equal(quiet_make(QUIET_DEVICES_MAX + 1, &a, &b), ERR_RANGE);
    assert_int_equal(pipe(pipes), 0);
    close(pipes[1]);
    assert_int_equal(quiet_open(pipes[0], false), ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_who_says_the_same, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_the_last_word_counts, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_full_places_lose_the_oldest, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_another_process_sees_it_come_and_go, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_a_new_writer_begins_with_nothing, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_old_knowledge_is_not_put, open_table, close_table),
        cmocka_unit_test_setup_teardown(test_who_reads_cannot_write, open_table, close_table),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
