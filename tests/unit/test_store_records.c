/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records, and what is told of disclosures: what is told twice is there once, what is undone is gone. */
#include "tests/unit/store_fixture.h"
#include <string.h>

static void test_records_are_idempotent(void **state)
{
    struct store *s = *state;
    struct store_record r = make_record(1, 1, 1, 1);
    bool is_new;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ops->record_put(s, both[i], &r, &is_new), ERR_OK);
        assert_true(is_new); /* each half keeps its own */
        assert_int_equal(ops->record_put(s, both[i], &r, &is_new), ERR_OK);
        assert_false(is_new);
    }
}

static void test_undo_takes_back_one_request_only(void **state)
{
    struct store *s = *state;
    bool is_new, there, replicated;
    struct store_record first = make_record(1, 1, 1, 1), second = make_record(2, 1, 1, 2),
                        third = make_record(3, 1, 1, 3);
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(s, STORE_RECOVERY, &first, &is_new), ERR_OK);
    assert_int_equal(ops->release(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(s, STORE_RECOVERY, &second, &is_new), ERR_OK);
    ops->undo(s, STORE_RECOVERY);
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(s, STORE_RECOVERY, &third, &is_new), ERR_OK);
    assert_int_equal(ops->release(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_OK);
    const struct store_record *all[] = {&first, &second, &third};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            ops->has_sequence(s, STORE_RECOVERY, all[i]->r.device, all[i]->r.incarnation, 1, &there), ERR_OK);
        assert_int_equal(there, i != 1);
    }
    /* outside a transaction nothing can be marked, so nothing can seem to be committed */
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_IO);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_IO);
}

static void test_forks(void **state)
{
    struct store *s = *state;
    bool is_new, fork;
    struct store_record one = make_record(1, 1, 1, 1), two = make_record(1, 1, 2, 2);
    memcpy(two.r.previous, one.name, 32);
    assert_int_equal(ops->record_put(s, STORE_RECOVERY, &one, &is_new), ERR_OK);
    assert_int_equal(ops->record_put(s, STORE_RECOVERY, &two, &is_new), ERR_OK);
    struct store_record same_number = make_record(1, 1, 2, 9), other_past = make_record(1, 1, 3, 8),
                        other_incarnation = make_record(1, 2, 2, 7);
    memcpy(same_number.r.previous, one.name, 32);
    const struct {
        const char *name;
        const struct store_record *r;
        bool fork;
    } rows[] = {{"the chain itself", &two, false},
                {"the same number twice", &same_number, true},
                {"another record before it", &other_past, true},
                {"another incarnation", &other_incarnation, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ops->forked(s, STORE_RECOVERY, rows[i].r, &fork), ERR_OK);
        if (fork != rows[i].fork)
            fail_msg("%s: fork is %d", rows[i].name, fork);
    }
}

static void test_known_is_the_incarnation_that_spoke_last(void **state)
{
    struct store *s = *state;
    struct store_known k;
    bool is_new;
    const struct store_record rows[] = {make_record(1, 1, 1, 1), make_record(1, 1, 2, 2),
                                        make_record(1, 2, 3, 3)};
    assert_int_equal(ops->known(s, STORE_RECOVERY, rows[0].r.device, &k), ERR_NOT_FOUND);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ops->record_put(s, STORE_RECOVERY, &rows[i], &is_new), ERR_OK);
        assert_int_equal(ops->known(s, STORE_RECOVERY, rows[0].r.device, &k), ERR_OK);
        assert_int_equal(k.sequence, i + 1);
        assert_memory_equal(k.name, rows[i].name, 32);
    }
    assert_int_equal(ops->known(s, STORE_COMPLIANCE, rows[0].r.device, &k), ERR_NOT_FOUND);
}

static void test_disclosures_are_idempotent(void **state)
{
    struct store *s = *state;
    struct msg_entry e = {.chain = "ab", .n = 3, .time = 9, .who = "alice"};
    bool is_new = false;
    assert_int_equal(ops->disclosed_put(s, &e, &is_new), ERR_OK);
    assert_true(is_new);
    assert_int_equal(ops->disclosed_put(s, &e, &is_new), ERR_OK);
    assert_false(is_new);
    e.key_id.bytes[0] = 7; /* another story under the same number */
    assert_int_equal(ops->disclosed_put(s, &e, &is_new), ERR_CONFLICT);
    assert_false(is_new);
    e.n = 4;
    assert_int_equal(ops->disclosed_put(s, &e, &is_new), ERR_OK);
    assert_true(is_new);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(test_records_are_idempotent),
        STORE_TEST(test_undo_takes_back_one_request_only),
        STORE_TEST(test_forks),
        STORE_TEST(test_known_is_the_incarnation_that_spoke_last),
        STORE_TEST(test_disclosures_are_idempotent),
    };
    return run_suite(argc, argv, &(struct store_suite){.test = tests, .n = sizeof tests / sizeof tests[0]});
}
