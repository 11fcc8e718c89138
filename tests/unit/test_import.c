/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers in files, which nothing signs as a whole: none of them, forged, old, or by a clock that is wrong,
 * keeps a later one from being heard (invariant 9). */
#include "agent/sync/enrollment.h"
#include "agent/sync/export.h"
#include "crypto/hash.h"
#include "formats/outbox_answer.h"
#include "tests/unit/exchange.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static uint8_t hash[32]; /* of the envelope that every list here names */

bool enrollment_done(struct agent *a)
{
    (void)a;
    return true;
}

enum err enrollment_finish(struct agent *a)
{
    (void)a;
    return ERR_INTERNAL; /* not asked for here */
}

static int setup(void **state)
{
    uint8_t p[ENVELOPE_MAX];
    size_t len;
    assert_int_equal(exchange_setup(state), 0);
    exchange_converge(2);
    assert_int_equal(cache_get_envelope(fake_agent.cache, &exchange_made.key_id, p, &len), ERR_OK);
    assert_int_equal(cr_sha256(p, len, hash), ERR_OK);
    return 0;
}

static enum err take_attempt(void *ctx, const uint8_t *p, size_t len)
{
    static struct outbox o;
    assert_int_equal(outbox_decode(p, len, &o), ERR_OK);
    *(uint32_t *)ctx = o.attempt;
    return ERR_OK;
}

static uint32_t export(void)
{
    struct export_totals totals;
    uint32_t attempt = 0;
    assert_int_equal(export_all(&fake_agent, NULL, take_attempt, &attempt, &totals), ERR_OK);
    assert_int_not_equal(attempt, 0);
    return attempt;
}

static void import(uint32_t attempt, uint64_t time, bool names_it)
{
    static uint8_t bytes[OUTBOX_ANSWER_MAX];
    static struct outbox_answer answer;
    struct sync_outcome o;
    struct problem why;
    size_t len;
    answer = (struct outbox_answer){.org = fake_agent.org->id, .time = time, .attempt = attempt};
    memcpy(answer.device, fake_agent.key.id, sizeof answer.device);
    answer.missing = (struct outbox_bytes){hash, names_it ? sizeof hash : 0};
    assert_int_equal(outbox_answer_encode(&answer, bytes, &len), ERR_OK);
    assert_int_equal(import_answer(&fake_agent, bytes, len, &o, &why), ERR_OK);
}

/* A number, a time: whatever a file said before, the next answer is heard. */
static void whatever_came_before(void **state)
{
    (void)state;
    static const struct {
        uint32_t attempt;
        uint64_t time;
        bool names_it;
    } before[] = {{0, UINT64_MAX, false},
                  {0, 4102444800u, true},
                  {UINT32_MAX, UINT64_MAX, false},
                  {UINT32_MAX, 0, true}};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        import(before[i].attempt, before[i].time, before[i].names_it);
        assert_int_equal(exchange_waiting(), before[i].names_it); /* at worst it is sent once more */
        exchange_converge(2);
        uint32_t attempt = export();
        import(attempt, 1, true);
        if (exchange_waiting() != 1)
            fail_msg("row %zu: the answer to export %u was not heard", i, attempt);
        exchange_converge(2);
    }
}

static void what_arrived_since(void **state)
{
    (void)state;
    uint32_t first = export(), second = export();
    assert_true(first < second);
    import(second, 2, true);
    assert_int_equal(exchange_waiting(), 1);
    import(first, 1, true); /* it waits already: the receipt of the next batch is enough */
    exchange_converge(1);
    import(second, 2, true); /* again, and it arrived meanwhile */
    import(first, 1, true);
    assert_int_equal(exchange_waiting(), 0);
    import(export(), 3, true); /* lost again */
    assert_int_equal(exchange_waiting(), 1);
}

static void take_receipt(const uint8_t name[static 32], uint32_t attempt, uint64_t time)
{
    unsigned n = 0;
    const struct receipt of = {
        .class = RECEIPT_LOCAL, .time = time, .attempt = attempt, .n = 1, .names = name};
    assert_int_equal(cache_add_receipt(fake_agent.cache, (const uint8_t *)"R", 1, &of, &n), ERR_OK);
    assert_int_equal(n, 1);
}

static void name_of_what_waits(uint8_t ret[static 32])
{
    struct cache_record r;
    unsigned n = 0;
    assert_int_equal(cache_outbox(fake_agent.cache, fake_agent.key.id, &r, 1, &n), ERR_OK);
    assert_int_equal(n, 1);
    memcpy(ret, r.name, sizeof r.name);
    free(r.bytes);
}

/* A list that comes while the record is on its way in a file does not make that file's receipt too old. */
static void what_is_on_its_way(void **state)
{
    (void)state;
    uint8_t name[32];
    uint32_t first = export();
    import(first, 1, true);
    name_of_what_waits(name);
    uint32_t second = export();
    import(first, 1, true);
    import(0, UINT64_MAX, true);
    take_receipt(name, second, 1);
    assert_int_equal(exchange_waiting(), 0);
}

/* A receipt is signed; the number in it is what the server was told, or should be. */
static void numbers_that_we_never_gave(void **state)
{
    (void)state;
    uint8_t name[32];
    import(export(), 1, true);
    name_of_what_waits(name);
    take_receipt(name, UINT32_MAX, UINT64_MAX);
    import(export(), 1, true);
    assert_int_equal(exchange_waiting(), 1);
    exchange_converge(1); /* and a time that far ahead does not keep it from being receipted */
}

/* An export is one number; what a record had before goes along as proof, once. */
static enum err look_at_proofs(void *ctx, const uint8_t *p, size_t len)
{
    static struct outbox o;
    unsigned *proofs = ctx;
    assert_int_equal(outbox_decode(p, len, &o), ERR_OK);
    *proofs += o.n_proofs;
    return ERR_OK;
}

static void proofs(void **state)
{
    (void)state;
    struct export_totals totals;
    unsigned n = 0;
    assert_int_equal(export_all(&fake_agent, NULL, look_at_proofs, &n, &totals), ERR_OK);
    assert_int_equal(n, 0);
    import(export(), 1, true);
    assert_int_equal(export_all(&fake_agent, NULL, look_at_proofs, &n, &totals), ERR_OK);
    assert_int_equal(n, 1);
}

#define IMPORT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, exchange_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IMPORT_TEST(whatever_came_before),
        IMPORT_TEST(what_arrived_since),
        IMPORT_TEST(what_is_on_its_way),
        IMPORT_TEST(numbers_that_we_never_gave),
        IMPORT_TEST(proofs),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
