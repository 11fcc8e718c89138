/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many questions and records in one turn to a store that is far away: the answers are those of one after
 * another. */
#include "crypto/hash.h"
#include "tests/unit/store_fixture.h"
#include <pthread.h>
#include <string.h>
#include <time.h>

static void post(struct store *s, enum store_half half, const struct store_record *r)
{
    const struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD};
    assert_int_equal(ops->post(s, half, r, r->r.envelope == NULL ? NULL : &e), ERR_OK);
}

/* Many records in one turn: the answers are those of record_put and forked, one after another. */
static void test_records_in_one_turn(void **state)
{
    struct store *s = *state;
    if (ops->room(s, STORE_RECOVERY) == 0) {
        assert_null(engine.url); /* SQLite has no turns */
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        struct store_record first = make_record(1, 1, 1, 1), next = make_record(1, 1, 2, 2),
                            other = make_record(1, 1, 2, 9);
        memcpy(next.r.previous, first.name, 32);
        memcpy(other.r.previous, first.name, 32);
        const struct {
            const char *name;
            const struct store_record *r;
            struct store_put want;
        } rows[] = {{"new", &first, {.is_new = true}},
                    {"the same again", &first, {.is_new = false}},
                    {"what follows it", &next, {.is_new = true}},
                    {"another one in that place", &other, {.is_new = true, .fork = true}}};
        struct store_put got[4];
        assert_int_equal(ops->mark(s, both[i]), ERR_OK);
        for (size_t k = 0; k < 4; k++)
            post(s, both[i], rows[k].r);
        for (size_t k = 0; k < 4; k++)
            assert_int_equal(ops->posted(s, both[i], rows[k].r, &got[k]), ERR_OK);
        assert_int_equal(ops->release(s, both[i]), ERR_OK);
        for (size_t k = 0; k < 4; k++)
            if (got[k].is_new != rows[k].want.is_new || got[k].fork != rows[k].want.fork)
                fail_msg("half %zu, %s: new %d, fork %d", i, rows[k].name, got[k].is_new, got[k].fork);
    }
}

/* One of them cannot be put: none has an answer, none is put, and the transaction goes on. */
static void test_one_of_a_turn_fails(void **state)
{
    struct store *s = *state;
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(2, 1, 1, 2), make_record(3, 1, 1, 3)};
    const unsigned room = ops->room(s, STORE_RECOVERY);
    struct store_put got;
    bool there, replicated;
    if (room == 0)
        return;
    r[1].bytes = NULL; /* which the table does not take */
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_OK);
    for (size_t i = 0; i < 3; i++)
        post(s, STORE_RECOVERY, &r[i]);
    assert_int_equal(ops->room(s, STORE_RECOVERY), room - 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_not_equal(ops->posted(s, STORE_RECOVERY, &r[i], &got), ERR_OK);
    ops->undo(s, STORE_RECOVERY);
    assert_int_equal(ops->room(s, STORE_RECOVERY), room);
    assert_int_equal(ops->mark(s, STORE_RECOVERY), ERR_OK);
    post(s, STORE_RECOVERY, &r[2]);
    assert_int_equal(ops->posted(s, STORE_RECOVERY, &r[2], &got), ERR_OK);
    assert_true(got.is_new);
    assert_int_equal(ops->release(s, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ops->has_sequence(s, STORE_RECOVERY, r[i].r.device, r[i].r.incarnation, 1, &there),
                         ERR_OK);
        assert_int_equal(there, i == 2);
    }
}

/* An answer that was asked for ahead is of that time, and outlives neither the batch nor a commit. */
static void test_asked_ahead(void **state)
{
    struct store *s = *state;
    struct store_device d = {.id = {1}, .computer = "pc"};
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(1, 1, 2, 2)};
    const uint8_t other[32] = {9}, *device = r[0].r.device;
    struct store_known k;
    struct made m;
    uint8_t none[32], one[32], got[32];
    bool replicated;
    memcpy(d.id, device, sizeof d.id);
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
    ops->ahead(s, device,
               STORE_AHEAD_DEVICE | STORE_AHEAD_RECOVERY | STORE_AHEAD_COMPLIANCE | STORE_AHEAD_TOLD);
    ops->ahead(s, other, STORE_AHEAD_DEVICE);
    assert_int_equal(ops->device_get(s, other, &d), ERR_NOT_FOUND);
    assert_int_equal(ops->device_get(s, device, &d), ERR_OK);
    assert_string_equal(d.computer, "pc");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(ops->known(s, both[i], device, &k), ERR_NOT_FOUND);
    assert_int_equal(ops->digest(s, device, got), ERR_OK);
    assert_int_equal(cr_sha256(NULL, 0, none), ERR_OK);
    assert_memory_equal(got, none, 32);
    ops->ahead(s, device, STORE_AHEAD_TOLD);
    put_envelope(s, &r[0], "ABCDEF01-0000-4000-8000-000000000001", 1, 1, &m);
    assert_int_equal(ops->commit(s, STORE_RECOVERY, &replicated), ERR_OK);
    assert_int_equal(ops->digest(s, device, one), ERR_OK);
    assert_memory_not_equal(one, none, 32);
    (void)ops->tend(s);
    assert_int_equal(ops->begin(s, STORE_RECOVERY), ERR_OK);
    ops->ahead(s, device, STORE_AHEAD_TOLD);
    put_envelope(s, &r[1], "ABCDEF01-0000-4000-8000-000000000002", 1, 1, &m);
    ops->ahead_end(s);
    assert_int_equal(ops->digest(s, device, got), ERR_OK);
    assert_memory_not_equal(got, one, 32);
}

/* What was asked ahead and has its answer keeps no place. */
static void test_answers_that_were_taken_make_room(void **state)
{
    struct store *s = *state;
    const unsigned room = ops->room(s, STORE_RECOVERY);
    struct store_device d;
    const uint8_t device[32] = {9};
    for (unsigned i = 0; i < room; i++)
        ops->ahead(s, device, STORE_AHEAD_DEVICE);
    assert_int_equal(ops->device_get(s, device, &d), ERR_NOT_FOUND);
    assert_int_equal(ops->room(s, STORE_RECOVERY), room);
}

struct other_server {
    struct store *s;
    struct store_record r;
    struct store_put put;
    enum err err;
};

static void *put_at_other(void *arg)
{
    struct other_server *o = arg;
    o->err = ops->post(o->s, STORE_COMPLIANCE, &o->r, NULL);
    if (o->err == ERR_OK)
        o->err = ops->posted(o->s, STORE_COMPLIANCE, &o->r, &o->put);
    return NULL;
}

/* A device retries at another server while the first one commits: there is one record, and one event. */
static void test_two_servers_get_one_event(void **state)
{
    struct store *s = *state;
    struct other_server other = {.put = {.is_new = true}};
    struct msg_boots boots;
    struct msg_find f = {.key = "01000000"};
    struct store_record r = make_record(1, 1, 1, 1);
    struct store_put put;
    bool replicated;
    pthread_t thread;
    if (ops->room(s, STORE_COMPLIANCE) == 0)
        return; /* a SQLite store has one writer */
    r.r.kind = RECORD_EVENT;
    r.r.event = EVENT_BOOT_RECOVERY;
    assert_int_equal(guid_decode("01000000-0000-4000-8000-000000000001", 36, &r.r.key_id), ERR_OK);
    other.r = r;
    other.r.received_us++;
    assert_int_equal(ops->open(&engine.place, &other.s), ERR_OK);
    assert_int_equal(ops->begin(other.s, STORE_COMPLIANCE), ERR_OK);
    assert_int_equal(ops->post(s, STORE_COMPLIANCE, &r, NULL), ERR_OK);
    assert_int_equal(ops->posted(s, STORE_COMPLIANCE, &r, &put), ERR_OK);
    assert_true(put.is_new);
    assert_int_equal(pthread_create(&thread, NULL, put_at_other, &other), 0);
    for (time_t end = time(NULL) + 60; !somebody_waits();)
        assert_true(time(NULL) < end);
    assert_int_equal(ops->commit(s, STORE_COMPLIANCE, &replicated), ERR_OK);
    pthread_join(thread, NULL);
    assert_int_equal(other.err, ERR_OK);
    assert_false(other.put.is_new);
    assert_int_equal(ops->commit(other.s, STORE_COMPLIANCE, &replicated), ERR_OK);
    assert_int_equal(ops->boots(other.s, &f, &boots), ERR_OK);
    assert_int_equal(boots.n, 1);
    ops->close(other.s);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        STORE_TEST(test_records_in_one_turn),
        STORE_TEST(test_one_of_a_turn_fails),
        STORE_TEST(test_asked_ahead),
        STORE_TEST(test_answers_that_were_taken_make_room),
        STORE_TEST(test_two_servers_get_one_event),
    };
    return run_suite(argc, argv, &(struct store_suite){.test = tests, .n = sizeof tests / sizeof tests[0]});
}
