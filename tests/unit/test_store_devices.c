/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Devices: the tokens that they enrol with, what people decide about them, and their names. */
#include "tests/unit/store_fixture.h"
#include <stdio.h>
#include <string.h>

static void test_tokens(void **state)
{
    struct store *s = *state;
    const struct msg_token t = {.hash = {1}, .expires = 100, .uses = 2};
    static const uint8_t unknown[32] = {2};
    assert_int_equal(ops->token_put(s, &t, 1), ERR_OK);
    assert_int_equal(ops->token_put(s, &t, 1), ERR_OK); /* at every start: the uses are not given back */
    assert_int_equal(ops->token_use(s, unknown, 50, true), ERR_DENIED);
    assert_int_equal(ops->token_use(s, t.hash, 100, true), ERR_DENIED); /* expired */
    assert_int_equal(ops->token_use(s, t.hash, 50, true), ERR_OK);
    assert_int_equal(ops->token_use(s, t.hash, 50, true), ERR_OK);
    assert_int_equal(ops->token_put(s, &t, 1), ERR_OK);
    assert_int_equal(ops->token_use(s, t.hash, 50, true), ERR_DENIED);
    assert_int_equal(ops->token_use(s, t.hash, 50, false),
                     ERR_OK); /* who is enrolled already may come again */
    assert_int_equal(ops->token_use(s, t.hash, 100, false), ERR_DENIED);
}

static void test_devices(void **state)
{
    struct store *s = *state;
    struct store_device d = {.id = {1}, .spki = {2}, .courier = {3}, .computer = "a", .enrolled = 4}, got;
    assert_int_equal(ops->device_get(s, d.id, &got), ERR_NOT_FOUND);
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
    d.courier[0] = 9;
    d.enrolled = 5;
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
    assert_int_equal(ops->device_get(s, d.id, &got), ERR_OK);
    assert_int_equal(got.courier[0], 9);
    assert_int_equal(got.enrolled, 4); /* it enrolled when it did */
    assert_false(got.revoked);
    assert_int_equal(ops->device_seen(s, d.id, 6, NULL), ERR_OK);
}

/* What people decide, the list page by page, and a device that came back with a later certificate. */
static void test_decisions_about_devices(void **state)
{
    struct store *s = *state;
    struct store_device row[3], d = {.spki = {2}, .enrolled = 100}, got;
    unsigned n = 9;
    assert_int_equal(ops->devices(s, NULL, false, 3, row, &n), ERR_OK);
    assert_int_equal(n, 0);
    for (uint8_t i = 1; i <= 5; i++) {
        d.id[0] = i;
        d.approved = i % 2 ? DEVICE_APPROVED : DEVICE_WAITING;
        assert_int_equal(ops->device_put(s, &d), ERR_OK);
    }
    d.id[0] = 2;
    assert_int_equal(ops->device_seen(s, d.id, 77, NULL), ERR_OK);
    assert_int_equal(ops->devices(s, NULL, false, 3, row, &n), ERR_OK);
    assert_int_equal(n, 3);
    assert_int_equal(row[1].id[0], 2);
    assert_int_equal(row[1].seen, 77);
    assert_int_equal(row[0].seen, 0);
    assert_int_equal(ops->devices(s, row[2].id, false, 3, row, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(row[1].id[0], 5);
    assert_int_equal(ops->devices(s, NULL, true, 3, row, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(row[0].id[0], 2);
    assert_int_equal(ops->device_approve(s, d.id, DEVICE_REFUSED), ERR_OK);
    d.approved = DEVICE_APPROVED; /* enrolling again decides nothing */
    d.enrolled = 200;
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
    assert_int_equal(ops->device_get(s, d.id, &got), ERR_OK);
    assert_int_equal(got.approved, DEVICE_REFUSED);
    assert_int_equal(got.enrolled, 100);
    assert_int_equal(ops->device_revoke(s, d.id, true), ERR_OK);
    assert_int_equal(ops->device_get(s, d.id, &got), ERR_OK);
    assert_true(got.revoked);
    assert_int_equal(ops->device_revoke(s, d.id, false), ERR_OK);
    d.id[0] = 99;
    assert_int_equal(ops->device_approve(s, d.id, DEVICE_APPROVED), ERR_NOT_FOUND);
    assert_int_equal(ops->device_revoke(s, d.id, true), ERR_NOT_FOUND);
    d.approved = DEVICE_BACK;
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
    d.enrolled = 300;
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
    assert_int_equal(ops->device_get(s, d.id, &got), ERR_OK);
    assert_int_equal(got.enrolled, 300);
    for (unsigned half = 0; half < STORE_HALVES; half++)
        assert_int_equal(ops->probe(s, half, 5), ERR_OK);
}

static void flag(struct store *s, unsigned i)
{
    struct store_record r = make_record(i % 2 == 0 ? 2 : 1, 1, i, (uint8_t)i);
    r.received_us = 1000 + i / 70;
    assert_int_equal(ops->flag_put(s, i % 2 == 0 ? "lost" : "gap", &r), ERR_OK);
}

/* The place of the last one that a page has. */
static void go_behind(struct msg_flags *at, const struct msg_flag *last)
{
    at->received_us = last->received_us;
    memcpy(at->device, last->device, sizeof at->device);
    memcpy(at->record, last->record, sizeof at->record);
    snprintf(at->kind, sizeof at->kind, "%s", last->kind);
}

/* All pages; each flag once, none newer than the one before it. Returns how many. */
static unsigned read_flags(struct store *s, struct msg_flags at, bool even)
{
    static struct msg_flags_are are;
    bool had[151] = {false};
    unsigned n = 0;
    do {
        assert_int_equal(ops->flags(s, &at, &are), ERR_OK);
        for (unsigned i = 0; i < are.n; i++, n++) {
            const struct msg_flag *f = &are.item[i];
            assert_true(f->received_us <= at.received_us && f->sequence <= 150);
            assert_true(f->received_us == 1000 + f->sequence / 70);
            assert_false(had[f->sequence]);
            had[f->sequence] = true;
            assert_true(!even || f->sequence % 2 == 0);
            assert_string_equal(f->computer, f->sequence % 2 == 0 ? "pc" : "");
            assert_string_equal(f->kind, f->sequence % 2 == 0 ? "lost" : "gap");
            go_behind(&at, f);
        }
    } while (are.n == MSG_FLAGS_MAX);
    return n;
}

/* Newest first, page by page, of all, of a device and of a kind; many came in one microsecond. */
static void test_flags(void **state)
{
    struct store_device d = {.computer = "pc", .approved = DEVICE_APPROVED};
    struct msg_flags at = {.received_us = FLAGS_NEWEST, .kind = "lost"};
    memset(d.id, 2, sizeof d.id);
    memset(at.device, 2, sizeof at.device);
    assert_int_equal(ops->device_put(*state, &d), ERR_OK);
    assert_int_equal(read_flags(*state, at, false), 0);
    for (unsigned i = 1; i <= 150; i++)
        for (unsigned again = 0; again < 2; again++)
            flag(*state, i);
    assert_int_equal(read_flags(*state, at, false), 150);
    at.of = FLAGS_OF_DEVICE;
    assert_int_equal(read_flags(*state, at, true), 75);
    at.of = FLAGS_OF_KIND;
    assert_int_equal(read_flags(*state, at, true), 75);
}

/* Bytes of a record are nobody's to judge: a name that is no text is stored like every other. */
static void test_texts_that_are_none(void **state)
{
    static const char *const names[] = {"caf\xc3\xa9",  "\xff\xfe",         "\xc3",
                                        "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80"};
    struct store_device d = {.enrolled = 1}, got;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        d.id[0] = (uint8_t)i;
        snprintf(d.computer, sizeof d.computer, "%s", names[i]);
        assert_int_equal(ops->mark(*state, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops->device_put(*state, &d), ERR_OK);
        assert_int_equal(ops->release(*state, STORE_RECOVERY), ERR_OK);
        assert_int_equal(ops->device_get(*state, d.id, &got), ERR_OK);
        assert_int_equal(strlen(got.computer), strlen(names[i]));
        if (i == 0)
            assert_string_equal(got.computer, names[0]);
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(test_tokens),
        STORE_TEST(test_devices),
        STORE_TEST(test_decisions_about_devices),
        STORE_TEST(test_texts_that_are_none),
        STORE_TEST(test_flags),
    };
    return run_suite(argc, argv, &(struct store_suite){.test = tests, .n = sizeof tests / sizeof tests[0]});
}
