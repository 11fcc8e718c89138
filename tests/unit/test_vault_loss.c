/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/vault/vault.h"
#include "formats/host/audit_gap.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

/* A vault whose log is a number. What only people need is not called here. */

enum { NOW = 100000 };

static uint64_t n_entries;

enum err vault_log_append(struct vault *v, const struct audit_entry *e, uint64_t *ret_n)
{
    (void)v, (void)e;
    *ret_n = ++n_entries;
    return ERR_OK;
}

uint64_t vault_now(void)
{
    return NOW;
}

enum err vault_log_wanted(struct vault *v, char *ret_detail)
{
    (void)v, (void)ret_detail;
    return ERR_OK;
}

const struct vault_copy *vault_memory_copy_of(const struct vault *v, const uint8_t chain[static 16])
{
    (void)v, (void)chain;
    return NULL;
}

enum err vault_step_up(struct vault *v, const char *who, const struct msg_blob *password, const char *code,
                       struct vault_asker *ret, char *ret_detail)
{
    (void)v, (void)who, (void)password, (void)code, (void)ret, (void)ret_detail;
    return ERR_AUTH;
}

void vault_note_step(struct audit_entry *a, const struct vault_asker *asker)
{
    (void)a, (void)asker;
}

bool vault_is_blank(const char *text)
{
    return text[0] == '\0';
}

const char *people_role_text(enum people_role role)
{
    (void)role;
    return "";
}

void vault_head_checkpoint(struct vault *v, uint64_t after)
{
    (void)v, (void)after;
}

void vault_log_announce_all(struct vault *v)
{
    (void)v;
}

/* A log with an entry in each hundred seconds; a head in each gap between them is another loss. */
static void test_full(void **state)
{
    static struct vault_mark mark[MSG_LOSSES_MAX + 2];
    static struct vault v;
    const uint8_t device[32] = {1};
    (void)state;
    for (unsigned i = 0; i < MSG_LOSSES_MAX + 2; i++)
        mark[i].time = 100 * (i + 1);
    v.mark = mark;
    v.n_marks = MSG_LOSSES_MAX + 2;
    memset(v.seen.chain, '0', 32);
    for (unsigned i = 1; i <= MSG_LOSSES_MAX; i++) {
        const struct audit_head_word w = {.n = i + 5, .time = 100 * i + 50};
        assert_int_equal(vault_loss_prove(&v, device, &w), ERR_OK);
        assert_int_equal(v.losses.n, i);
        assert_int_equal(vault_loss_prove(&v, device, &w), ERR_OK); /* known */
        assert_int_equal(n_entries, i);
    }
    const struct audit_head_word more = {.n = 90, .time = 100 * (MSG_LOSSES_MAX + 1) + 50};
    const struct audit_head_word longer = {.n = 7, .time = 160};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(vault_loss_prove(&v, device, &more), ERR_OK);
    assert_int_equal(n_entries, MSG_LOSSES_MAX); /* no entry that could not be kept */
    assert_int_equal(vault_loss_prove(&v, device, &longer), ERR_OK);
    assert_int_equal(n_entries, MSG_LOSSES_MAX + 1); /* a gap that is on record still grows */
    assert_int_equal(v.losses.item[0].lost, 7);
}

static uint64_t prove_in(uint8_t log, struct vault *v)
{
    static struct vault_mark mark[2];
    const uint8_t device[32] = {1};
    const struct audit_head_word w = {.n = 5, .time = 150};
    mark[0] = (struct vault_mark){.time = 100};
    mark[1] = (struct vault_mark){.time = 200}; /* of the alarm */
    memset(mark[1].hash, log, sizeof mark[1].hash);
    *v = (struct vault){.mark = mark, .n_marks = 2};
    memset(v->seen.chain, '0', 32);
    n_entries = 1;
    assert_int_equal(vault_loss_prove(v, device, &w), ERR_OK);
    assert_int_equal(v->losses.item[0].n, 2);
    return v->losses.item[0].mark;
}

/* Another log gives the same number, and one that was put back gives it a second time. */
static void test_a_number_is_no_name(void **state)
{
    static struct vault v;
    (void)state;
    const uint64_t one = prove_in(1, &v), other = prove_in(2, &v);
    assert_true(one != other);
    assert_true(one == prove_in(1, &v));
    static const uint8_t logs[] = {0, 0x3f, 0x40, 0x80, 0xff};
    for (unsigned i = 0; i < sizeof logs; i++) {
        uint64_t mark = prove_in(logs[i], &v);
        assert_true(mark >= MSG_LOSS_MARK && mark < 2 * MSG_LOSS_MARK);
    }
}

/* A longer head of the same gap: the orders that were made for it are still its orders. */
static void test_a_loss_that_grows_is_the_same(void **state)
{
    static struct vault v;
    const struct audit_entry more = {
        .n = 1, .action = AUDIT_ALARM, .note = "lost=9 have=1 from=100 to=160 until=200"};
    (void)state;
    const uint64_t mark = prove_in(1, &v);
    vault_loss_take(&v, &more);
    assert_int_equal(v.losses.n, 1);
    assert_int_equal(v.losses.item[0].lost, 9);
    assert_true(v.losses.item[0].mark == mark);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full),
                                       cmocka_unit_test(test_a_number_is_no_name),
                                       cmocka_unit_test(test_a_loss_that_grows_is_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
