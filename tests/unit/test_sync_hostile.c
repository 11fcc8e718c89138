/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server that lies: receipts and orders that are not for us, not by the organisation, or of before; answers
 * that are none. Nothing of it takes a record out of the outbox or a key out of a volume. */
#include "formats/command.h"
#include "tests/unit/exchange.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

/* Hostile answers. Each puts something beside an answer without receipts; nothing may leave the outbox. */
static void put_receipt(uint8_t seed, bool our_org, bool for_us, unsigned attempt)
{
    static struct cache_record r[8];
    unsigned n = 0;
    uint8_t names[8][32];
    struct cr_p256_key *key = fake_server_key(seed);
    struct receipt of = {.class = RECEIPT_PACKED, .attempt = attempt, .org = fake_agent.org->id, .time = 99};
    assert_int_equal(cache_outbox(fake_agent.cache, fake_agent.key.id, r, 8, &n), ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        memcpy(names[i], r[i].name, 32);
        free(r[i].bytes);
    }
    for (unsigned i = 0; i + 1 < n; i++) /* a few: sorted by exchange */
        for (unsigned k = 0; k + 1 < n; k++)
            if (memcmp(names[k], names[k + 1], 32) > 0) {
                uint8_t x[32];
                memcpy(x, names[k], 32);
                memcpy(names[k], names[k + 1], 32);
                memcpy(names[k + 1], x, 32);
            }
    of.org.bytes[0] ^= !our_org;
    memcpy(of.device, fake_agent.key.id, 32);
    of.device[0] ^= !for_us;
    of.n = n;
    of.names = names[0];
    assert_int_equal(receipt_encode(&of, key, fake_server.more[0], &fake_server.more_len[0]), ERR_OK);
    cr_p256_free(key);
}

static void wrong_key(void)
{
    put_receipt(77, true, true, 1);
}

static void policy_key(void)
{
    put_receipt(4, true, true, 1);
}

static void another_device(void)
{
    put_receipt(FAKE_SERVER_SEED, true, false, 1);
}

static void another_organisation(void)
{
    put_receipt(FAKE_SERVER_SEED, false, true, 1);
}

static void a_flipped_bit(void)
{
    put_receipt(FAKE_SERVER_SEED, true, true, 1);
    fake_server.more[0][fake_server.more_len[0] - 70] ^= 1;
}

static void cut_short(void)
{
    put_receipt(FAKE_SERVER_SEED, true, true, 1);
    fake_server.more_len[0] -= 32;
}

static void put_order(uint8_t seed, bool for_us, uint8_t order)
{
    struct cr_p256_key *key = fake_server_key(seed);
    struct command c = {.order = order, .org = fake_agent.org->id, .key_id = exchange_made.key_id, .time = 5};
    memcpy(c.device, fake_agent.key.id, 32);
    c.device[0] ^= !for_us;
    assert_int_equal(command_encode(&c, key, fake_server.more[0]), ERR_OK);
    fake_server.more_len[0] = COMMAND_LEN;
    fake_server.is_command[0] = true;
    cr_p256_free(key);
}

static void order_of_a_stranger(void)
{
    put_order(77, true, COMMAND_ROTATE);
}

static void order_for_another(void)
{
    put_order(FAKE_SERVER_SEED, false, COMMAND_ROTATE);
}

static void order_as_receipt(void)
{
    put_order(FAKE_SERVER_SEED, true, COMMAND_ROTATE);
    fake_server.is_command[0] = false;
}

static void receipt_as_order(void)
{
    put_receipt(FAKE_SERVER_SEED, true, true, 1);
    fake_server.is_command[0] = true;
}

static void odd_hashes(void)
{
    static const uint8_t hashes[96] = "hashes that we never sent";
    fake_server.missing = hashes;
    fake_server.n_missing = 3;
}

static const struct {
    const char *name;
    void (*prepare)(void);
    unsigned refused;
} hostile[] = {
    {"a receipt by a key that is not the organisation's", wrong_key, 1},
    {"a receipt by the policy key", policy_key, 1},
    {"a receipt for another device", another_device, 1},
    {"a receipt of another organisation", another_organisation, 1},
    {"a receipt with a flipped bit", a_flipped_bit, 1},
    {"a receipt cut short", cut_short, 1},
    {"an order by somebody else", order_of_a_stranger, 1},
    {"an order for another device", order_for_another, 1},
    {"an order as a receipt", order_as_receipt, 1},
    {"a receipt as an order", receipt_as_order, 1},
    {"hashes that we never sent are missing", odd_hashes, 0},
};

static void hostile_answers(void **state)
{
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        struct cache_volume v;
        exchange_setup(state);
        unsigned n = exchange_waiting();
        fake_server.no_receipts = true;
        hostile[i].prepare();
        if (exchange_sync(1) != MSG_DONE || exchange_out.refused != hostile[i].refused ||
            exchange_waiting() != n)
            fail_msg("%s: %u refused, %u of %u wait", hostile[i].name, exchange_out.refused,
                     exchange_waiting(), n);
        assert_int_equal(cache_get_volume(fake_agent.cache, &exchange_made.volume, &v), ERR_OK);
        if (v.rotate || v.state != VOLUME_PROTECTED)
            fail_msg("%s: a rotation is wanted", hostile[i].name);
        fake_server.no_receipts = false;
        fake_server.more_len[0] = 0;
        fake_server.missing = NULL;
        exchange_converge(3);
        exchange_teardown(state);
    }
}

/* A true answer, cut off anywhere, is none. */
static void cut_answers(void **state)
{
    (void)state;
    fake_server.fate = FATE_ANSWER_LOST;
    assert_int_equal(exchange_sync(1), MSG_OFFLINE);
    unsigned n = exchange_waiting();
    char *text = strdup(fake_server.text);
    assert_non_null(text);
    for (size_t len = strlen(text); len-- > 0;) {
        struct msg m;
        uint8_t *arena;
        if (errand_sync_answer(text, len, &m, &arena) == ERR_OK)
            fail_msg("an answer of %zu bytes counts", len);
    }
    fake_server.fate = FATE_ANSWER;
    fake_server.instead = "{\"retry_after\":-1}";
    assert_int_equal(exchange_sync(1), MSG_REFUSED);
    fake_server.instead = "[]";
    assert_int_equal(exchange_sync(1), MSG_REFUSED);
    assert_int_equal(exchange_waiting(), n);
    fake_server.instead = NULL;
    free(text);
    exchange_converge(2);
}

/* The receipt of before the loss, played back: it says nothing of what was lost since. */
static void an_old_receipt(void **state)
{
    (void)state;
    put_receipt(FAKE_SERVER_SEED, true, true, 1);
    exchange_converge(1);
    fake_server_lose();
    fake_server.no_receipts = true;
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(exchange_sync(1), MSG_DONE);
    assert_int_equal(exchange_waiting(), 1); /* asked for, brought, and not receipted by that */
    fake_server.no_receipts = false;
    exchange_converge(3);
    exchange_expect_all();
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, exchange_setup, exchange_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_answers),
        WITH(cut_answers),
        WITH(an_old_receipt),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
