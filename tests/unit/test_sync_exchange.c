/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole exchange, from the keeper's cache through the errand's JSON to a server in memory and back, until
 * all is said: every record is receipted, none is lost, none has two sets of bytes, within so many rounds;
 * whatever the server loses or repeats. */
#include "agent/state/records.h"
#include "agent/sync/sync_parts.h"
#include "tests/unit/exchange.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static void add_events(unsigned n)
{
    struct record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    assert_int_equal(cache_begin(fake_agent.cache), ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        *r = (struct record){.kind = RECORD_EVENT, .event = EVENT_CLOCK, .event_time = i};
        assert_int_equal(records_add(&fake_agent, r, NULL), ERR_OK);
    }
    assert_int_equal(cache_commit(fake_agent.cache), ERR_OK);
    free(r);
}

/* n more escrowed envelopes, as if they had been volumes' keys: the true one under other key IDs. */
static void add_envelopes(unsigned n)
{
    uint8_t p[ENVELOPE_MAX];
    size_t len;
    struct envelope e;
    struct record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    assert_int_equal(cache_get_envelope(fake_agent.cache, &exchange_made.key_id, p, &len), ERR_OK);
    assert_int_equal(cache_begin(fake_agent.cache), ERR_OK);
    for (unsigned i = 0; i < n; i++) {
        struct guid id = exchange_made.key_id;
        uint8_t *at = NULL;
        for (size_t k = 0; !at && k + sizeof id.bytes <= len; k++)
            at = memcmp(p + k, id.bytes, sizeof id.bytes) == 0 ? p + k : NULL;
        assert_non_null(at);
        at[0] = id.bytes[0] = (uint8_t)(i + 1);
        at[1] = id.bytes[1] = (uint8_t)((i >> 8) + 1);
        exchange_made.key_id = id;
        assert_int_equal(envelope_decode(p, len, &e), ERR_OK);
        *r = (struct record){.kind = RECORD_ESCROW, .envelope = p, .envelope_len = len};
        assert_int_equal(cache_put_envelope(fake_agent.cache, &id, p, len), ERR_OK);
        assert_int_equal(records_add(&fake_agent, r, &id), ERR_OK);
    }
    assert_int_equal(cache_commit(fake_agent.cache), ERR_OK);
    free(r);
}

static void first_contact(void **state)
{
    (void)state;
    unsigned n = exchange_waiting();
    assert_true(n > 0);
    exchange_converge(1);
    assert_int_equal(fake_server.stored, n);
    assert_int_equal(fake_server.doubles, 0);
    exchange_expect_all();
    exchange_converge(1); /* a heartbeat */
    assert_int_equal(fake_server.stored, n);
}

static void a_long_outage(void **state)
{
    (void)state;
    add_events(600); /* more than two batches */
    unsigned n = exchange_waiting();
    exchange_converge(4);
    assert_int_equal(fake_server.stored, n);
    assert_int_equal(fake_server.doubles, 0);
}

/* It has them, and we do not know: the same bytes again until we do. */
static void lost_answers_and_requests(void **state)
{
    (void)state;
    unsigned n = exchange_waiting();
    for (unsigned i = 0; i < 5; i++) {
        fake_server.fate = i % 2 ? FATE_REQUEST_LOST : FATE_ANSWER_LOST;
        assert_int_equal(exchange_sync(1), MSG_OFFLINE);
        assert_int_equal(exchange_waiting(), n);
    }
    fake_server.fate = FATE_ANSWER;
    exchange_converge(1);
    assert_int_equal(fake_server.stored, n);
}

static void everything_twice(void **state)
{
    (void)state;
    unsigned n = exchange_waiting();
    fake_server.fate = FATE_TWICE;
    assert_int_equal(exchange_sync(2), MSG_DONE); /* the batch twice, and the answer taken in twice */
    assert_int_equal(exchange_out.receipted, 0);  /* of the second time */
    assert_int_equal(exchange_waiting(), 0);
    assert_int_equal(fake_server.stored, n);
    assert_int_equal(fake_server.doubles, n);
    exchange_converge(1);
}

/* O4: the fleet refills it, with the same bytes, unasked by any person. */
static void a_lost_database(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(fake_rotate_alone(&exchange_made), ERR_OK);
    exchange_converge(2);
    fake_server_lose();
    exchange_converge(4);
    exchange_expect_all();
    assert_int_equal(fake_server.n, 4); /* envelopes, and nothing else */
    exchange_converge(1);
}

static void a_lost_database_of_many(void **state)
{
    (void)state;
    add_envelopes(SYNC_SET_PAGE + 100);
    exchange_converge(8);
    assert_int_equal(fake_server.sets, 0);
    fake_server_lose();
    exchange_converge(12);
    exchange_expect_all();
    assert_int_equal(fake_server.sets, 2);
}

/* An envelope in our name that we know nothing of. */
static void add_unknown(void)
{
    struct fake_record *more = &fake_server.record[fake_server.n];
    *more = fake_server.record[0];
    more->bytes = NULL;
    memset(more->envelope, 7, 32);
    memset(more->name, 7, 32);
    more->is_escrow = true;
    fake_server.n++;
}

/* A server that has more than we know of asks once, not for ever. */
static void it_has_more(void **state)
{
    (void)state;
    exchange_converge(1);
    add_unknown();
    exchange_converge(3);
    unsigned sets = fake_server.sets;
    for (unsigned i = 0; i < 5; i++)
        exchange_converge(1);
    assert_int_equal(fake_server.sets, sets);
}

/* It lacks one of ours, and has more than we know of; it is mended while it has no time to ask; and then the
 * same backup is put back once more. */
static void the_same_backup_twice(void **state)
{
    (void)state;
    static struct fake_record backup[FAKE_SERVER_RECORDS];
    assert_int_equal(fake_rotate_alone(&exchange_made), ERR_OK);
    exchange_converge(2);
    add_unknown();
    exchange_converge(3);
    unsigned lost = 1; /* the first has a double */
    while (!fake_server.record[lost].is_escrow)
        lost++;
    memcpy(backup, fake_server.record, sizeof backup);
    unsigned n = fake_server.n - 1;
    free(backup[lost].bytes);
    backup[lost] = backup[n];
    memcpy(fake_server.record, backup, sizeof backup);
    fake_server.n = n;
    assert_int_equal(exchange_sync(1), MSG_DONE); /* it asks */
    assert_int_equal(exchange_sync(1), MSG_DONE); /* and says what it lacks */
    fake_server.asks_nothing = true;
    exchange_converge(2);
    exchange_expect_all();
    while (fake_server.n > n) /* what came since */
        free(fake_server.record[--fake_server.n].bytes);
    memcpy(fake_server.record, backup, sizeof backup);
    exchange_converge(2); /* not now */
    fake_server.asks_nothing = false;
    exchange_converge(6);
    exchange_expect_all();
}

static void several_servers(void **state)
{
    (void)state;
    exchange_told = 0;
    exchange_servers = 2;
    fake_server.dead = "https://a.example.org";
    assert_int_equal(exchange_sync(1), MSG_DONE);
    assert_int_equal(exchange_told, 2);
    fake_server.dead = "*";
    assert_int_equal(exchange_sync(1), MSG_OFFLINE);
    fake_server.dead = "https://b.example.org";
    fake_server.false_name = "https://a.example.org";
    assert_int_equal(exchange_sync(1),
                     MSG_UNTRUSTED); /* to be exchange_told, though another was only silent */
    fake_server.dead = fake_server.false_name = NULL;
    exchange_told = 0;
    fake_server.fate = FATE_NO;
    assert_int_equal(exchange_sync(1), MSG_REFUSED); /* it has spoken: no other is asked */
    assert_int_equal(exchange_told, 1);
    fake_server.fate = FATE_BUSY;
    assert_int_equal(exchange_sync(1), MSG_OFFLINE);
    assert_int_equal(exchange_told, 3);
    exchange_servers = 1;
}

/* It knows a later record of ours than we do: our cache is an old copy. A new chain, no place used twice. */
static void it_knows_more_of_us(void **state)
{
    (void)state;
    uint8_t before[16], after[16];
    uint64_t sequence;
    exchange_converge(1);
    assert_int_equal(records_position(&fake_agent, before, &sequence), ERR_OK);
    fake_server.known = 5;
    assert_int_equal(exchange_sync(1), MSG_DONE);
    fake_server.known = 0;
    assert_int_equal(records_position(&fake_agent, after, &sequence), ERR_OK);
    assert_memory_not_equal(before, after, 16);
    exchange_converge(3);
}

/* One that went back to before our last record is told, from then on, the one that it has, until our next. */
static void it_went_back(void **state)
{
    (void)state;
    uint8_t told[SYNC_LAST], last[32];
    exchange_converge(1);
    add_events(1);
    exchange_converge(1);
    free(fake_server.record[--fake_server.n].bytes); /* its name stays there for a moment */
    assert_int_equal(sync_last(&fake_agent, told), ERR_OK);
    assert_memory_equal(told, fake_server.record[fake_server.n].name, sizeof told);
    assert_int_equal(exchange_sync(1), MSG_DONE);
    assert_int_equal(sync_last(&fake_agent, told), ERR_OK);
    assert_memory_equal(told, fake_server.record[fake_server.n - 1].name, sizeof told);
    add_events(1);
    assert_int_equal(sync_last(&fake_agent, told), ERR_OK);
    assert_int_equal(records_last(&fake_agent, last), ERR_OK);
    assert_memory_equal(told, last, sizeof told);
}

/* Everything in turn, by a fixed sequence of numbers: rotations, losses, repetitions; then calm. */
static void a_bad_year(void **state)
{
    (void)state;
    uint32_t x = 1;
    unsigned lost = 0, rotated = 0;
    for (unsigned round = 0; round < 120; round++) {
        x = x * 1664525u + 1013904223u;
        unsigned what = x >> 28;
        fake_server.fate = what < 3   ? FATE_ANSWER_LOST
                           : what < 5 ? FATE_REQUEST_LOST
                           : what < 7 ? FATE_TWICE
                                      : FATE_ANSWER;
        if (what == 8) {
            fake_server_lose();
            lost++;
        }
        if (what >= 13) {
            assert_int_equal(fake_rotate_alone(&exchange_made), ERR_OK);
            assert_int_equal(fake_verify(), ERR_OK);
            rotated++;
        }
        (void)exchange_sync(1 + what % 2);
        assert_int_equal(fake_server.bad, 0);
    }
    assert_true(lost > 3 && rotated > 10);
    fake_server.fate = FATE_ANSWER;
    exchange_converge(8);
    exchange_expect_all();
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, exchange_setup, exchange_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(first_contact),       WITH(a_long_outage),         WITH(lost_answers_and_requests),
        WITH(everything_twice),    WITH(a_lost_database),       WITH(a_lost_database_of_many),
        WITH(it_has_more),         WITH(the_same_backup_twice), WITH(several_servers),
        WITH(it_knows_more_of_us), WITH(it_went_back),          WITH(a_bad_year),
    };
    fake_keeper_make();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fake_keeper_remove();
    return failed;
}
