/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stores behind their table of operations: what is told twice is there once, what is undone is gone, and
 * nobody's envelope takes another's place. One suite for every engine: without arguments on SQLite, in memory
 * and in files; with a connection string on PostgreSQL, whose two schemas it drops and makes again for each
 * test (tests/server/test_postgres.py). */
#include "crypto/hash.h"
#include "escrow-server/store/sql.h"
#include <ftw.h>
#include <postgresql/libpq-fe.h>
#include <pthread.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

static const struct store_ops *const ops = &store_sql;
static const enum store_half both[] = {STORE_RECOVERY, STORE_COMPLIANCE};

/* The engine under test. */
static struct {
    bool in_files;
    const char *url; /* NULL: SQLite */
    char dir[64];
    struct store_place place;
} engine;

static void pg_do(const char *sql)
{
    PGconn *c = PQconnectdb(engine.url);
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

static int make_place(void **state)
{
    (void)state;
    engine.place = (struct store_place){.url = {engine.url, engine.url}};
    if (engine.url != NULL)
        pg_do("SET client_min_messages = warning; DROP SCHEMA IF EXISTS keyholt_recovery CASCADE;"
              " DROP SCHEMA IF EXISTS keyholt_compliance CASCADE");
    if (!engine.in_files)
        return 0;
    snprintf(engine.dir, sizeof engine.dir, "/tmp/keyholt-store-XXXXXX");
    engine.place.dir = mkdtemp(engine.dir);
    return engine.place.dir == NULL ? -1 : 0;
}

static int open_store(void **state)
{
    struct store *s = NULL;
    if (make_place(state) != 0 || ops->open(&engine.place, &s) != ERR_OK)
        return -1;
    *state = s;
    for (size_t i = 0; i < 2; i++)
        if (ops->begin(s, both[i]) != ERR_OK)
            return -1;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int remove_place(void **state)
{
    (void)state;
    return engine.in_files ? nftw(engine.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) : 0;
}

static int close_store(void **state)
{
    ops->close(*state);
    return remove_place(state);
}

/* A record as the writer would hand it over; signatures are not the store's business. */
static struct store_record make_record(uint8_t device, uint8_t incarnation, uint64_t sequence, uint8_t name)
{
    static const uint8_t bytes[] = "the record's bytes";
    struct store_record r = {.bytes = bytes, .len = sizeof bytes, .received_us = 1000000 * sequence + name};
    r.r.kind = RECORD_ESCROW;
    r.r.sequence = sequence;
    memset(r.r.device, device, sizeof r.r.device);
    memset(r.r.incarnation, incarnation, sizeof r.r.incarnation);
    memset(r.name, name, sizeof r.name);
    return r;
}

struct made {
    uint8_t bytes[40];
    struct envelope e;
};

/* An envelope of `owner`, sent by the device of r. */
static void put_envelope(struct store *s, struct store_record *r, const char *key, uint8_t owner,
                         uint8_t commitment, struct made *m)
{
    *m = (struct made){.e = {.kind = ENVELOPE_RECOVERY_PASSWORD}};
    memset(m->bytes, r->name[0], sizeof m->bytes);
    memset(m->e.device, owner, sizeof m->e.device);
    memset(m->e.commitment, commitment, sizeof m->e.commitment);
    assert_int_equal(guid_decode(key, strlen(key), &m->e.key_id), ERR_OK);
    r->r.envelope = m->bytes;
    r->r.envelope_len = sizeof m->bytes;
    snprintf(r->r.computer, sizeof r->r.computer, "pc-%u", r->r.device[0]);
    assert_int_equal(ops->envelope_put(s, r, &m->e), ERR_OK);
}

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

static unsigned found(struct store *s, const char *key, const char *device, struct msg_found *ret)
{
    struct msg_find f = {0};
    snprintf(f.key, sizeof f.key, "%s", key);
    snprintf(f.device, sizeof f.device, "%s", device);
    assert_int_equal(ops->find(s, &f, ret), ERR_OK);
    return ret->n;
}

static void test_find(void **state)
{
    struct store *s = *state;
    struct msg_found f;
    struct made m[5];
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(1, 1, 2, 2), make_record(2, 1, 3, 3),
                               make_record(2, 1, 4, 4), make_record(1, 1, 5, 5)};
    put_envelope(s, &r[0], "ABCDEF01-0000-4000-8000-000000000001", 1, 1, &m[0]);
    put_envelope(s, &r[1], "ABCDEF01-0000-4000-8000-000000000002", 1, 2, &m[1]);
    put_envelope(s, &r[2], "ABCDEF01-0000-4000-8000-000000000001", 1, 9,
                 &m[2]); /* 2 brings what it calls 1's */
    put_envelope(s, &r[3], "ABCDEF01-0000-4000-8000-000000000003", 7, 3,
                 &m[3]); /* a sighting; 7 never spoke */
    put_envelope(s, &r[4], "ABCDEF01-0000-4000-8000-000000000001", 1, 1,
                 &m[4]); /* sealed again, same password */
    const struct {
        const char *name, *key, *device;
        unsigned n;
    } rows[] = {{"eight digits", "ABCDEF01", "", 3},
                {"nobody", "ABCDEF02", "", 0},
                {"the whole ID: the owner's alone", "ABCDEF01-0000-4000-8000-000000000001", "", 1},
                {"a sighting is better than nothing", "ABCDEF01-0000-4000-8000-000000000003", "", 1},
                {"by device", "ABCDEF01", "0707", 1},
                {"nothing named", "", "", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (found(s, rows[i].key, rows[i].device, &f) != rows[i].n)
            fail_msg("%s: %u instead of %u", rows[i].name, f.n, rows[i].n);
    assert_int_equal(found(s, "ABCDEF01-0000-4000-8000-000000000001", "", &f), 1);
    assert_memory_equal(f.item[0].envelope.p, m[4].bytes,
                        sizeof m[4].bytes); /* the newest, and not number 2's */
    assert_true(f.item[0].own);
    assert_string_equal(f.item[0].computer, "pc-1");
}

static void test_find_says_when_there_is_more(void **state)
{
    struct store *s = *state;
    struct msg_found f;
    struct made m;
    for (uint8_t i = 0; i <= MSG_CANDIDATES; i++) {
        char key[GUID_TEXT];
        struct store_record r = make_record(1, 1, i + 1u, i + 1);
        snprintf(key, sizeof key, "ABCDEF01-0000-4000-8000-0000000000%02X", i);
        put_envelope(s, &r, key, 1, i, &m);
    }
    assert_int_equal(found(s, "ABCDEF01", "", &f), MSG_CANDIDATES);
    assert_true(f.more);
}

/* Whatever another device sends under somebody's key ID, his envelope is in the list. */
static void test_nobody_is_crowded_out(void **state)
{
    struct store *s = *state;
    struct msg_found f;
    struct made m;
    static const char asked[] = "ABCDEF01-0000-4000-8000-000000000001";
    struct store_device owner = {.enrolled = 5}, thief = {.enrolled = 6};
    memset(owner.id, 1, sizeof owner.id);
    memset(thief.id, 2, sizeof thief.id);
    assert_int_equal(ops->device_put(s, &owner), ERR_OK);
    assert_int_equal(ops->device_put(s, &thief), ERR_OK);
    struct store_record r = make_record(1, 1, 1, 1);
    put_envelope(s, &r, asked, 1, 1, &m);
    for (uint8_t i = 0; i < 60; i++) { /* his own envelopes, with this key ID and with its beginning */
        char key[GUID_TEXT];
        r = make_record(2, 1, 10u + i, 10 + i);
        snprintf(key, sizeof key, "ABCDEF01-0000-4000-8000-0000000000%02X", i < 30 ? 1 : i);
        put_envelope(s, &r, key, 2, 10 + i, &m);
    }
    const struct {
        const char *name, *key, *device;
        unsigned n;
        bool more;
    } rows[] = {{"the whole ID", asked, "", 3, true},
                {"its beginning", "ABCDEF01", "", MSG_CANDIDATES, true},
                {"the owner's", asked, "0101", 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned n = found(s, rows[i].key, rows[i].device, &f);
        if (n != rows[i].n || f.more != rows[i].more || strcmp(f.item[0].computer, "pc-1") != 0)
            fail_msg("%s: %u keys, more %d, first %s", rows[i].name, n, f.more, f.item[0].computer);
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

static void test_digest_counts_what_the_device_brought(void **state)
{
    struct store *s = *state;
    struct made m[4];
    uint8_t hashes[2][32], want[32], got[32], all[4][32];
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(1, 1, 2, 2), make_record(2, 1, 1, 3),
                               make_record(2, 1, 2, 4)};
    assert_int_equal(ops->digest(s, r[0].r.device, got), ERR_OK);
    assert_int_equal(cr_sha256(NULL, 0, want), ERR_OK);
    assert_memory_equal(got, want, 32);
    put_envelope(s, &r[0], "ABCDEF01-0000-4000-8000-000000000001", 1, 1, &m[0]);
    put_envelope(s, &r[1], "ABCDEF01-0000-4000-8000-000000000002", 1, 1, &m[1]);
    put_envelope(s, &r[2], "ABCDEF01-0000-4000-8000-000000000003", 2, 1, &m[2]);
    put_envelope(s, &r[3], "ABCDEF01-0000-4000-8000-000000000004", 1, 1, &m[3]); /* number 2 says: 1's */
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(cr_sha256(m[i].bytes, sizeof m[i].bytes, hashes[i]), ERR_OK);
    if (memcmp(hashes[0], hashes[1], 32) > 0) {
        memcpy(want, hashes[0], 32);
        memcpy(hashes[0], hashes[1], 32);
        memcpy(hashes[1], want, 32);
    }
    assert_int_equal(cr_sha256(hashes, sizeof hashes, want), ERR_OK);
    assert_int_equal(ops->digest(s, r[0].r.device, got), ERR_OK);
    assert_memory_equal(got, want, 32);
    put_envelope(s, &r[0], "ABCDEF01-0000-4000-8000-000000000001", 1, 1, &m[0]); /* told again */
    assert_int_equal(ops->digest(s, r[0].r.device, got), ERR_OK);
    assert_memory_equal(got, want, 32);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(cr_sha256(m[2 + i].bytes, sizeof m[i].bytes, all[i]), ERR_OK);
    if (memcmp(all[0], all[1], 32) > 0) {
        memcpy(all[2], all[0], 32);
        memmove(all[0], all[1], 32);
        memcpy(all[1], all[2], 32);
    }
    assert_int_equal(cr_sha256(all, 64, want), ERR_OK);
    assert_int_equal(ops->digest(s, r[2].r.device, got), ERR_OK); /* another's that it brought, too */
    assert_memory_equal(got, want, 32);
    for (size_t i = 0; i < 4; i++) { /* of the set it lacks what the digest does not count */
        uint8_t missing[1][32];
        unsigned lacks = 9;
        assert_int_equal(cr_sha256(m[i].bytes, sizeof m[i].bytes, got), ERR_OK);
        assert_int_equal(ops->missing(s, r[0].r.device, got, 1, missing, &lacks), ERR_OK);
        assert_int_equal(lacks, i < 2 ? 0 : 1);
        memcpy(all[i], got, 32);
    }
    unsigned n = 9; /* all in one statement, in the order of the question, onto the question itself */
    memcpy(want, all[3], 32);
    memcpy(all[3], all[0], 32);
    memcpy(all[0], want, 32);
    memcpy(want, all[2], 32);
    memcpy(got, all[0], 32);
    assert_int_equal(ops->missing(s, r[0].r.device, all[0], 4, all, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(all[0], got, 32);
    assert_memory_equal(all[1], want, 32);
    assert_int_equal(ops->missing(s, r[0].r.device, all[0], 0, all, &n), ERR_OK);
    assert_int_equal(n, 0);
}

static void test_orders_wait_until_they_are_done(void **state)
{
    struct store *s = *state;
    struct store_command c = {.device = {1}, .key_id = {{2}}, .made = 5, .bytes = {3}};
    uint8_t got[MSG_COMMANDS][COMMAND_LEN];
    unsigned n;
    const struct guid other = {{9}};
    struct store_waiting waiting = {.again = true};
    bool open;
    assert_int_equal(ops->command_open(s, c.device, &c.key_id, &open), ERR_OK);
    assert_false(open);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->command_open(s, c.device, &c.key_id, &open), ERR_OK);
    assert_true(open);
    c.bytes[0] = 4; /* it may be signed again while it waits */
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->command_get(s, c.device, &other, &waiting), ERR_NOT_FOUND);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_OK);
    assert_false(waiting.again);
    assert_memory_equal(waiting.bytes, c.bytes, COMMAND_LEN);
    assert_int_equal(ops->command_done(s, c.device, &other, 6), ERR_OK);
    assert_int_equal(ops->commands(s, c.device, MSG_COMMANDS, got, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(got[0][0], 4);
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 6), ERR_OK);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_NOT_FOUND);
    assert_int_equal(ops->commands(s, c.device, MSG_COMMANDS, got, &n), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ops->command_open(s, c.device, &c.key_id, &open), ERR_OK);
    assert_false(open);
    const struct {
        uint64_t disclosed;
        unsigned n;
    } again[] = {{5, 0}, /* the same disclosure told again orders nothing */
                 {6, 1}, /* another one, after it was done */
                 {6, 0}};
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        c.disclosed = again[i].disclosed;
        assert_int_equal(ops->command_put(s, &c), ERR_OK);
        assert_int_equal(ops->commands(s, c.device, MSG_COMMANDS, got, &n), ERR_OK);
        assert_int_equal(n, again[i].n);
        assert_int_equal(ops->command_open(s, c.device, &c.key_id, &open), ERR_OK);
        assert_false(open); /* it was replaced, whoever hears of it once more */
        assert_int_equal(ops->command_done(s, c.device, &c.key_id, 7), ERR_OK);
    }
}

static void check_loss(struct store *s, const char *when, uint64_t loss, unsigned want)
{
    struct store_loss_order order[4];
    uint64_t above = 9, below = 9;
    unsigned n = 9;
    assert_int_equal(ops->loss_orders(s, loss, 4, order, &n), ERR_OK);
    assert_int_equal(ops->loss_count(s, loss - 1, loss + 1, &above), ERR_OK);
    assert_int_equal(ops->loss_count(s, loss, loss + 1, &below), ERR_OK);
    if (n != want || above != want || below != 0)
        fail_msg("%s: %u orders, %u are counted", when, n, (unsigned)above);
}

/* An order waits for the loss that wanted it first, until somebody else wants it, or it is done. */
static void test_whose_loss_an_order_is(void **state)
{
    struct store *s = *state;
    const uint64_t first = MSG_LOSS_MARK + 5, second = 2 * MSG_LOSS_MARK - 1 - 5;
    struct store_command c = {.device = {1}, .key_id = {{2}}, .made = 5, .loss = first, .bytes = {3}};
    struct store_loss_order order[1];
    struct store_waiting waiting;
    unsigned n;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "made", first, 1);
    c.loss = second;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "another loss", first, 1);
    check_loss(s, "another loss", second, 0);
    assert_int_equal(ops->loss_orders(s, first, 1, order, &n), ERR_OK);
    assert_false(order[0].gone);
    struct store_device d = {.computer = "a", .enrolled = 1};
    memcpy(d.id, c.device, sizeof d.id);
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
    assert_int_equal(ops->device_seen(s, d.id, 5, NULL), ERR_OK);
    assert_int_equal(ops->loss_orders(s, first, 1, order, &n), ERR_OK);
    assert_true(order[0].gone); /* it was here since */
    assert_int_equal(ops->take_back(s, &order[0]), ERR_OK);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "ordered again", second, 1);
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 6), ERR_OK);
    check_loss(s, "done", second, 0);
    c.disclosed = 7;
    c.loss = first;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "once more", first, 1);
    c.loss = second;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "once more, another loss", first, 1);
    c.loss = 0;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "disclosed", first, 0);
    c.loss = first;
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    check_loss(s, "disclosed, then lost", first, 0);
    assert_int_equal(ops->command_get(s, c.device, &c.key_id, &waiting), ERR_OK);
    assert_true(waiting.loss == 0 && waiting.again);
}

/* Device 2 brought a key of device 1 and has a key of its own on that volume; device 3 only brought it. */
static void test_another_device_may_answer(void **state)
{
    static const char old[] = "ABCDEF01-0000-4000-8000-000000000001";
    static const char new[] = "ABCDEF01-0000-4000-8000-000000000002";
    struct store *s = *state;
    struct store_device d = {.computer = "a", .enrolled = 10};
    struct made m;
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(2, 1, 1, 2), make_record(3, 1, 1, 3),
                               make_record(2, 1, 2, 4)};
    struct store_command c = {.made = 5, .bytes = {3}};
    uint8_t got[4][32], owner[32];
    unsigned n;
    bool yes;
    for (unsigned i = 0; i < 3; i++) {
        memset(d.id, (int)i + 1, sizeof d.id);
        assert_int_equal(ops->device_put(s, &d), ERR_OK);
        put_envelope(s, &r[i], old, 1, 1, &m);
    }
    c.key_id = m.e.key_id;
    assert_int_equal(ops->holders(s, r[0].r.device, &c.key_id, 4, got, &n), ERR_OK);
    assert_int_equal(n, 0);
    put_envelope(s, &r[3], new, 2, 2, &m);
    assert_int_equal(ops->holders(s, r[0].r.device, &c.key_id, 4, got, &n), ERR_OK);
    assert_int_equal(n, 1);
    assert_memory_equal(got[0], r[1].r.device, 32);
    assert_int_equal(ops->command_former(s, r[1].r.device, &c.key_id, owner), ERR_NOT_FOUND); /* no order */
    for (unsigned i = 0; i < 2; i++) {
        memcpy(c.device, r[i].r.device, 32);
        assert_int_equal(ops->command_put(s, &c), ERR_OK);
    }
    assert_int_equal(ops->command_former(s, r[1].r.device, &c.key_id, owner), ERR_OK);
    assert_memory_equal(owner, r[0].r.device, 32);
    assert_int_equal(ops->command_former(s, r[0].r.device, &c.key_id, owner),
                     ERR_NOT_FOUND); /* its own is not another's */
    assert_int_equal(ops->command_open(s, r[0].r.device, &c.key_id, &yes), ERR_OK);
    assert_true(yes);
    assert_int_equal(ops->command_done(s, r[1].r.device, &c.key_id, 6), ERR_OK);
    assert_int_equal(ops->command_open(s, r[0].r.device, &c.key_id, &yes), ERR_OK);
    assert_false(yes);
    assert_int_equal(ops->device_seen(s, r[0].r.device, 11, NULL), ERR_OK); /* it is still there: a clone */
    assert_int_equal(ops->command_open(s, r[0].r.device, &c.key_id, &yes), ERR_OK);
    assert_true(yes);
}

/* Any number of devices with low IDs that had the volume before leave room for the one that has it now. */
static void test_the_newest_holder_comes_first(void **state)
{
    static const char old[] = "ABCDEF01-0000-4000-8000-000000000001";
    struct store *s = *state;
    struct made m;
    uint8_t got[2][32];
    unsigned n;
    for (uint8_t i = 2; i <= 10; i++) {
        char own[GUID_TEXT];
        struct store_record r = make_record(i, 1, i == 8 ? 99 : i, i);
        snprintf(own, sizeof own, "ABCDEF01-0000-4000-8000-0000000001%02X", i);
        put_envelope(s, &r, own, i, i, &m);
        r = make_record(i, 1, 50 - i, 100 + i);
        put_envelope(s, &r, old, 1, 1, &m);
    }
    const uint8_t owner[32] = {1};
    assert_int_equal(ops->holders(s, owner, &m.e.key_id, 2, got, &n), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(ops->holders(s, m.e.device, &m.e.key_id, 2, got, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[0][0], 8);
    assert_int_equal(got[1][0], 10);
}

/* A key of one device and volume 0: made when its device says so, received when we say so. */
static void put_key(struct store *s, uint8_t name, uint64_t made, uint64_t received)
{
    struct made m;
    struct store_record r = make_record(1, 1, name, name);
    char key[GUID_TEXT];
    bool is_new;
    snprintf(key, sizeof key, "000000%02X-0000-0000-0000-000000000000", name);
    r.received_us = received * 1000000;
    m = (struct made){.e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = made}};
    memset(m.bytes, name, sizeof m.bytes);
    memset(m.e.device, 1, sizeof m.e.device);
    m.e.commitment[0] = name;
    assert_int_equal(guid_decode(key, strlen(key), &m.e.key_id), ERR_OK);
    r.r.envelope = m.bytes;
    r.r.envelope_len = sizeof m.bytes;
    assert_int_equal(ops->record_put(s, STORE_RECOVERY, &r, &is_new), ERR_OK);
    assert_int_equal(ops->envelope_put(s, &r, &m.e), ERR_OK);
}

static void put_device_one(struct store *s)
{
    struct store_device d = {.approved = DEVICE_APPROVED};
    memset(d.id, 1, sizeof d.id);
    assert_int_equal(ops->device_put(s, &d), ERR_OK);
}

/* Which keys may have been disclosed between 100 and 200? One volume's, in the order in which they came. */
static void test_keys_of_a_window(void **state)
{
    static const struct {
        const char *name;
        uint64_t made, received;
        bool lost, wanted;
    } rows[] = {{"replaced long before", 10, 10, false, false},
                {"the one that was there when it began", 20, 20, false, true},
                {"made within", 150, 150, false, true},
                {"made within, and brought again", 160, 300, false, true},
                {"by a clock of tomorrow, and brought again", 900, 301, true, true},
                {"by a clock of yesterday", 5, 302, false, true},
                {"made after it", 310, 310, false, false}};
    const struct store_window window = {100, 200};
    const uint8_t zero[32] = {0};
    uint8_t last[32];
    struct store *s = *state;
    struct store_uncertain got[8];
    struct store_command c = {.key_id = {{0, 0, 0, 3}}, .made = 5};
    unsigned n, at = 0;
    put_device_one(s);
    for (uint8_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct store_record r = make_record(1, 1, (uint64_t)i + 1, (uint8_t)(i + 1));
        put_key(s, (uint8_t)(i + 1), rows[i].made, rows[i].received);
        if (rows[i].lost)
            assert_int_equal(ops->flag_put(s, "lost", &r), ERR_OK);
    }
    memset(c.device, 1, sizeof c.device);
    memset(last, 1, sizeof last);
    assert_int_equal(guid_decode("00000003-0000-0000-0000-000000000000", 36, &c.key_id), ERR_OK);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->uncertain(s, &window, zero, last, 8, got, &n), ERR_OK);
    for (uint8_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char key[GUID_TEXT] = "", want[GUID_TEXT];
        snprintf(want, sizeof want, "000000%02X-0000-0000-0000-000000000000", i + 1);
        if (at < n)
            guid_encode(&got[at].key_id, key);
        bool there = at < n && strcmp(key, want) == 0;
        if (there != rows[i].wanted)
            fail_msg("%s: %d", rows[i].name, there);
        if (there && got[at].order != (i == 2 ? STORE_ORDER_WAITS : STORE_NO_ORDER))
            fail_msg("%s: order %d", rows[i].name, (int)got[at].order);
        at += there;
    }
    assert_int_equal(at, n);
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 6), ERR_OK);
    assert_int_equal(ops->uncertain(s, &window, zero, last, 2, got, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[1].order, STORE_ORDER_DONE);
    assert_int_equal(ops->uncertain(s, &window, last, last, 8, got, &n), ERR_OK);
    assert_int_equal(n, 0);
}

/* A clock that is behind dates every key into the window: those after the order that replaced one are new. */
static void test_a_slow_clock_is_believed_once(void **state)
{
    const struct store_window window = {100, 200};
    const uint8_t zero[32] = {0};
    struct store *s = *state;
    struct store_command c = {.made = 220};
    struct store_uncertain got[4];
    unsigned n;
    put_device_one(s);
    memset(c.device, 1, sizeof c.device);
    put_key(s, 1, 150, 210);
    put_key(s, 2, 151, 215); /* lost once, and brought again before the order */
    put_key(s, 3, 152, 225);
    assert_int_equal(guid_decode("00000001-0000-0000-0000-000000000000", 36, &c.key_id), ERR_OK);
    assert_int_equal(ops->command_put(s, &c), ERR_OK);
    assert_int_equal(ops->uncertain(s, &window, zero, c.device, 4, got, &n), ERR_OK);
    assert_int_equal(n, 3); /* it waits: nothing was replaced yet */
    assert_int_equal(ops->command_done(s, c.device, &c.key_id, 230), ERR_OK);
    assert_int_equal(ops->uncertain(s, &window, zero, c.device, 4, got, &n), ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(got[0].key_id.bytes[0] + got[1].key_id.bytes[0], 1 + 2);
    struct store_window later = {100, 221}; /* that order was made within it */
    assert_int_equal(ops->uncertain(s, &later, zero, c.device, 4, got, &n), ERR_OK);
    assert_int_equal(n, 3);
}

#define MANY_KEYS 6000

/* Judging one key after the other would take a minute for what takes a moment. */
static void test_many_keys_of_one_device(void **state)
{
    const struct store_window window = {100, 200};
    const uint8_t zero[32] = {0};
    struct store *s = *state;
    struct store_record r = make_record(1, 1, 1, 1);
    struct store_uncertain got[8];
    struct timespec from, to;
    unsigned n;
    put_device_one(s);
    for (uint32_t i = 0; i < MANY_KEYS; i++) {
        struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD, .time = 150};
        memcpy(e.device, r.r.device, 32);
        memcpy(e.key_id.bytes, &i, sizeof i);
        r.r.envelope = e.key_id.bytes;
        r.r.envelope_len = sizeof e.key_id.bytes;
        r.received_us = 150000000 + i;
        assert_int_equal(ops->envelope_put(s, &r, &e), ERR_OK);
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(ops->uncertain(s, &window, zero, r.r.device, 8, got, &n), ERR_OK);
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_int_equal(n, STORE_EACH);
    assert_int_equal(got[0].n, MANY_KEYS);
    assert_int_equal(got[1].n, 0);
    assert_true(to.tv_sec - from.tv_sec < 6); /* 40 ms; it was 16 s */
    struct store_command c = {.key_id = got[0].key_id, .made = 5};
    memcpy(c.device, r.r.device, 32);
    assert_int_equal(ops->command_put(s, &c),
                     ERR_OK); /* behind what is ordered come the others, all of them */
    assert_int_equal(ops->uncertain(s, &window, zero, c.device, 8, got, &n), ERR_OK);
    assert_int_equal(n, 1 + STORE_EACH);
    assert_int_equal(got[0].order, STORE_ORDER_WAITS);
    assert_int_equal(got[0].n, 1);
    assert_int_equal(got[1].n, MANY_KEYS - 1);
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

static void test_boot_events(void **state)
{
    struct store *s = *state;
    struct msg_boots boots;
    struct msg_find f = {.key = "01000000"};
    bool is_new;
    struct store_record r = make_record(1, 1, 1, 1);
    r.r.event = EVENT_BOOT_RECOVERY;
    r.r.result = 1;
    r.r.reason = KH_REASON_TPM;
    r.r.event_time = 77;
    assert_int_equal(guid_decode("01000000-0000-4000-8000-000000000001", 36, &r.r.key_id), ERR_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ops->record_put(s, STORE_COMPLIANCE, &r, &is_new), ERR_OK);
        assert_int_equal(ops->event_put(s, &r), ERR_OK);
    }
    assert_int_equal(ops->boots(s, &f, &boots), ERR_OK);
    assert_int_equal(boots.n, 1);
    assert_int_equal(boots.item[0].time, 77);
    assert_int_equal(boots.item[0].reason, KH_REASON_TPM);
    f.key[0] = '2';
    assert_int_equal(ops->boots(s, &f, &boots), ERR_OK);
    assert_int_equal(boots.n, 0);
}

static bool somebody_waits(void)
{
    PGconn *c = PQconnectdb(engine.url);
    PGresult *r = PQexec(c, "SELECT 1 FROM pg_locks WHERE NOT granted");
    bool ret = PQntuples(r) > 0;
    PQclear(r);
    PQfinish(c);
    return ret;
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

static void reopen(void **state)
{
    struct store *s = NULL;
    ops->close(*state);
    assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
    *state = s;
}

static bool has(struct store *s, const struct store_record *r)
{
    bool there = false;
    assert_int_equal(
        ops->has_sequence(s, STORE_RECOVERY, r->r.device, r->r.incarnation, r->r.sequence, &there), ERR_OK);
    return there;
}

/* What was committed is there for whoever opens the store next, and nothing else. */
static void test_only_what_was_committed_stays(void **state)
{
    struct store_record kept = make_record(1, 1, 1, 1), given_up = make_record(1, 1, 2, 2),
                        cut_off = make_record(1, 1, 3, 3);
    bool is_new, replicated;
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &kept, &is_new), ERR_OK);
    assert_int_equal(ops->commit(*state, STORE_RECOVERY, &replicated), ERR_OK);
    assert_false(replicated);
    assert_int_equal(ops->begin(*state, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &given_up, &is_new), ERR_OK);
    ops->abandon(*state, STORE_RECOVERY);
    assert_int_equal(ops->begin(*state, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &cut_off, &is_new), ERR_OK);
    reopen(state);
    assert_true(has(*state, &kept));
    assert_false(has(*state, &given_up));
    assert_false(has(*state, &cut_off));
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

static void set_version(enum store_half half, int version)
{
    static const char *const files[] = {"recovery.db", "compliance.db"};
    static const char *const schemas[] = {"keyholt_recovery", "keyholt_compliance"};
    char path[128], sql[128];
    sqlite3 *db = NULL;
    if (engine.url != NULL) {
        snprintf(sql, sizeof sql, "INSERT INTO %s.keyholt_schema VALUES (%d)", schemas[half], version);
        pg_do(sql);
        return;
    }
    snprintf(path, sizeof path, "%s/%s", engine.dir, files[half]);
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d", version);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* What the reader relies on: beside a transaction that is open it sees all that was committed before it
 * asked, nothing else, and waits for nothing; and it changes nothing. */
static void test_reading_beside_a_writer(void **state)
{
    struct store_place place = engine.place;
    struct store *reader = NULL;
    struct store_record first = make_record(1, 1, 1, 1), second = make_record(1, 1, 2, 2);
    struct store_device d = {.id = {9}, .computer = "pc"};
    bool is_new, replicated;
    place.reads = true;
    assert_int_equal(ops->open(&place, &reader), ERR_OK);
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &first, &is_new), ERR_OK);
    assert_false(has(reader, &first));
    (void)ops->tend(reader);
    assert_int_equal(ops->commit(*state, STORE_RECOVERY, &replicated), ERR_OK);
    assert_true(has(reader, &first));
    (void)ops->tend(reader);
    assert_int_equal(ops->begin(*state, STORE_RECOVERY), ERR_OK);
    assert_int_equal(ops->record_put(*state, STORE_RECOVERY, &second, &is_new), ERR_OK);
    assert_true(has(reader, &first));
    assert_false(has(reader, &second));
    (void)ops->tend(reader);
    ops->abandon(*state, STORE_RECOVERY);
    assert_int_equal(ops->begin(reader, STORE_RECOVERY), ERR_OK);
    if (ops->device_put(reader, &d) == ERR_OK) /* PostgreSQL may say it later */
        assert_int_not_equal(ops->commit(reader, STORE_RECOVERY, &replicated), ERR_OK);
    ops->close(reader);
    assert_int_equal(ops->device_get(*state, d.id, &d), ERR_NOT_FOUND);
}

static void test_nothing_is_made_by_reading(void **state)
{
    struct store *s = NULL;
    assert_int_equal(make_place(state), 0);
    struct store_place place = engine.place;
    place.reads = true;
    assert_int_not_equal(ops->open(&place, &s), ERR_OK);
    assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
    ops->close(s);
    set_version(STORE_COMPLIANCE, 1);
    assert_int_equal(ops->open(&place, &s), ERR_VERSION);
    assert_int_equal(remove_place(state), 0);
}

static void test_a_newer_database_is_refused(void **state)
{
    struct store *s = NULL;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(make_place(state), 0);
        assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
        ops->close(s);
        set_version(both[i], 999);
        assert_int_equal(ops->open(&engine.place, &s), ERR_VERSION);
        assert_int_equal(remove_place(state), 0);
    }
}

/* A file as a version made it, with a record. */
static void make_older(enum store_half half, int version)
{
    static const char *const files[] = {"recovery.db", "compliance.db"};
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/%s", engine.dir, files[half]);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (int i = 0; i < version; i++)
        assert_int_equal(sqlite3_exec(db, sql_sqlite_schema[half][i], NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "INSERT INTO records VALUES (zeroblob(32),"
                                  " X'0101010101010101010101010101010101010101010101010101010101010101',"
                                  " X'01010101010101010101010101010101', 1, zeroblob(32), 1, 1, 1, X'00')",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    set_version(half, version);
}

/* A store's file, beside the store. */
static sqlite3 *open_file(const char *file)
{
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/%s", engine.dir, file);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static uint64_t ask_file(const char *file, const char *sql)
{
    sqlite3 *db = open_file(file);
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    uint64_t got = (uint64_t)sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return got;
}

/* No step of retention looks through a table: what it takes does not grow with the store. */
static void check_retention_plans(void)
{
    static const enum sql steps[] = {SQL_RETAINED, SQL_FORGET, SQL_RETAIN, SQL_RETAIN_EVENTS};
    char sql[1200];
    sqlite3 *db = open_file("compliance.db");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *stmt = NULL;
        unsigned n = 0;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sql_sqlite[steps[i]].text);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(stmt, 3);
            n += strstr(plan, "_old (received_us<?)") != NULL;
            if (strncmp(plan, "SCAN records", 12) == 0 || strncmp(plan, "SCAN events", 11) == 0)
                fail_msg("%s: %s", sql, plan);
        }
        assert_true(n > 0);
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
}

#define MONTH_RECORDS 3000

/* A month comes, and the month before the last one goes; returns the file's pages. */
static uint64_t turn_month(struct store *s, unsigned month)
{
    static const uint8_t bytes[500] = "a report";
    const uint64_t month_us = 31ull * 86400 * 1000000;
    bool is_new, replicated, more = true;
    assert_int_equal(ops->begin(s, STORE_COMPLIANCE), ERR_OK);
    for (unsigned i = 0; i < MONTH_RECORDS; i++) {
        struct store_record r = make_record((uint8_t)i, 1, month * MONTH_RECORDS + i + 1, 1);
        r.bytes = bytes;
        r.len = sizeof bytes;
        r.r.event = EVENT_BOOT_RECOVERY;
        r.received_us = month * month_us + i;
        /* as a hash would: anywhere in the tree */
        assert_int_equal(cr_sha256(&(uint64_t){r.r.sequence}, 8, r.name), ERR_OK);
        assert_int_equal(ops->record_put(s, STORE_COMPLIANCE, &r, &is_new), ERR_OK);
        assert_int_equal(ops->event_put(s, &r), ERR_OK);
    }
    assert_int_equal(ops->commit(s, STORE_COMPLIANCE, &replicated), ERR_OK);
    while (month > 0 && more) {
        assert_int_equal(ops->begin(s, STORE_COMPLIANCE), ERR_OK);
        assert_int_equal(ops->retain(s, month * month_us, 77, &more), ERR_OK);
        assert_int_equal(ops->commit(s, STORE_COMPLIANCE, &replicated), ERR_OK);
    }
    return ask_file("compliance.db", "PRAGMA page_count");
}

/* In SQLite months have no tables of their own; their pages are used again, and nothing is looked through. */
static void test_a_months_room_is_used_again(void **state)
{
    struct store *s = NULL;
    assert_int_equal(make_place(state), 0);
    assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
    (void)turn_month(s, 0);
    const uint64_t full = turn_month(s, 1);
    for (unsigned month = 2; month < 6; month++)
        assert_true(turn_month(s, month) <= full + full / 10);
    assert_int_equal(ask_file("compliance.db", "SELECT count(*) FROM records"), MONTH_RECORDS);
    check_retention_plans();
    ops->close(s);
    assert_int_equal(remove_place(state), 0);
}

/* What a device can make long is found by an index, all the way, and not walked through. */
static void check_plans(void)
{
    static const struct {
        enum sql which;
        const char *index;
    } rows[] = {{SQL_FORKED,
                 "COVERING INDEX records_once (device=? AND incarnation=? AND sequence>? AND sequence<?)"},
                {SQL_HAS_SEQUENCE,
                 "COVERING INDEX records_once (device=? AND incarnation=? AND sequence>? AND sequence<?)"},
                {SQL_KNOWN, "SEARCH records USING INDEX records_last (device=?)"},
                {SQL_KNOWN, "SEARCH records USING INDEX records_once (device=? AND incarnation=?)"},
                {SQL_PACKAGES, "SEARCH records USING INDEX records_packages (device=?)"},
                {SQL_HAS_PACKAGE, "SEARCH records USING INDEX records_packages (device=? AND name=?)"},
                {SQL_MISSING, "SEARCH envelopes USING COVERING INDEX envelopes_once (sender=?)"},
                {SQL_HOLDERS, "SEARCH e USING INDEX envelopes_by_key (key_id=?)"},
                {SQL_HOLDERS, "SEARCH o USING INDEX envelopes_once (sender=? AND volume=?)"},
                {SQL_UNCERTAIN, "SEARCH o USING INDEX envelopes_once (sender>? AND sender<?)"},
                {SQL_DIGEST, "SEARCH envelopes USING COVERING INDEX envelopes_once (sender=?)"},
                {SQL_FIND, "SEARCH e USING INDEX envelopes_by_key (key_id>? AND key_id<?)"},
                {SQL_FIND, "INDEX envelopes_by_key (key_id=? AND sender=? AND own=?)"},
                {SQL_COMMAND_FORMER, "INDEX envelopes_by_key (key_id=? AND sender=? AND own=?)"},
                {SQL_COMMAND_OPEN, "INDEX commands_key (key_id=?)"},
                {SQL_LOSS_ORDERS, "INDEX commands_loss (loss=?)"},
                {SQL_LOSS_COUNT, "INDEX commands_loss (loss>? AND loss<?)"}};
    char sql[2048];
    sqlite3 *db = open_file("recovery.db");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sqlite3_stmt *stmt = NULL;
        bool found = false;
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", sql_sqlite[rows[i].which].text);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
        while (sqlite3_step(stmt) == SQLITE_ROW) {
            const char *plan = (const char *)sqlite3_column_text(stmt, 3);
            found = found || strstr(plan, rows[i].index) != NULL;
        }
        if (!found)
            fail_msg("%s: not by %s", sql, rows[i].index);
        sqlite3_finalize(stmt);
    }
    sqlite3_close(db);
}

/* A file of any version keeps what it has. */
static void bring_forward(void **state, int version)
{
    struct store *s = NULL;
    struct store_record r = make_record(1, 1, 1, 1);
    bool there;
    assert_int_equal(make_place(state), 0);
    for (size_t i = 0; i < 2; i++)
        make_older(both[i], version);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(ops->open(&engine.place, &s), ERR_OK);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(ops->has_sequence(s, both[i], r.r.device, r.r.incarnation, 1, &there), ERR_OK);
            assert_true(there);
        }
        ops->close(s);
    }
    check_plans();
    assert_int_equal(remove_place(state), 0);
}

static void test_an_older_database_is_brought_forward(void **state)
{
    for (int version = 1; version < SQL_SQLITE_VERSION; version++)
        bring_forward(state, version);
}

static unsigned n_working;

static void on_working(void)
{
    n_working++;
}

/* While a large file is brought forward whoever waits hears of it, and never again afterwards. */
static void test_a_long_migration_says_that_it_goes_on(void **state)
{
    char path[128];
    sqlite3 *db = NULL;
    struct store *s = NULL;
    assert_int_equal(make_place(state), 0);
    make_older(STORE_RECOVERY, 3);
    snprintf(path, sizeof path, "%s/recovery.db", engine.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60000)"
                     "INSERT INTO envelopes SELECT randomblob(32), randomblob(32), randomblob(32),"
                     " i, zeroblob(16), zeroblob(32), 1, zeroblob(32), '', '', 1, 1, X'00' FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    struct store_place place = engine.place;
    place.working = on_working;
    assert_int_equal(ops->open(&place, &s), ERR_OK);
    ops->close(s);
    assert_true(n_working > 3);
    n_working = 0;
    assert_int_equal(ops->open(&place, &s), ERR_OK);
    ops->close(s);
    assert_int_equal(n_working, 0);
    assert_int_equal(remove_place(state), 0);
}

static bool has_in(struct store *s, enum store_half half, const struct store_record *r)
{
    bool there = false;
    assert_int_equal(ops->has_sequence(s, half, r->r.device, r->r.incarnation, r->r.sequence, &there),
                     ERR_OK);
    return there;
}

/* Retention takes whole months of the compliance store, leaves its word, and makes no gap in a chain. */
static void test_retention(void **state)
{
    struct store *s = *state;
    const uint64_t feb_us = 31ull * 86400 * 1000000, mar_us = 59ull * 86400 * 1000000;
    struct store_record r[] = {make_record(1, 1, 1, 1), make_record(1, 1, 2, 2), make_record(1, 1, 3, 3),
                               make_record(2, 1, 1, 4), make_record(3, 1, 7, 5)};
    const uint64_t received[] = {5, feb_us + 5, mar_us + 5, feb_us - 1, feb_us};
    struct store_known k;
    uint64_t records = 0, events = 0;
    bool more, is_new, fork;
    for (size_t i = 0; i < 5; i++) {
        r[i].received_us = received[i];
        r[i].r.event = EVENT_BOOT_RECOVERY;
        assert_int_equal(ops->record_put(s, STORE_COMPLIANCE, &r[i], &is_new), ERR_OK);
        assert_int_equal(ops->record_put(s, STORE_RECOVERY, &r[i], &is_new), ERR_OK);
        if (i != 2)
            assert_int_equal(ops->event_put(s, &r[i]), ERR_OK);
    }
    assert_int_equal(ops->retained(s, mar_us, &records, &events), ERR_NOT_FOUND);
    do
        assert_int_equal(ops->retain(s, mar_us, 77, &more), ERR_OK);
    while (more);
    assert_int_equal(ops->retained(s, mar_us, &records, &events), ERR_OK);
    assert_int_equal(records, 4);
    assert_int_equal(events, 4);
    assert_int_equal(ops->known(s, STORE_COMPLIANCE, r[0].r.device, &k), ERR_OK);
    assert_int_equal(k.sequence, 3); /* what is there goes before what was there */
    assert_int_equal(ops->known(s, STORE_COMPLIANCE, r[4].r.device, &k), ERR_OK);
    assert_int_equal(k.sequence, 7);
    assert_memory_equal(k.name, r[4].name, 32);
    for (size_t i = 0; i < 5; i++) {
        assert_true(has_in(s, STORE_COMPLIANCE, &r[i]));
        assert_int_equal(ops->record_put(s, STORE_RECOVERY, &r[i], &is_new), ERR_OK);
        assert_false(is_new); /* the other half is not touched */
        assert_int_equal(ops->forked(s, STORE_COMPLIANCE, &r[i], &fork), ERR_OK);
        assert_false(fork);
    }
    struct store_record next = make_record(3, 1, 8, 9), beyond = make_record(3, 1, 10, 10);
    assert_false(has_in(s, STORE_COMPLIANCE, &next));
    assert_false(has_in(s, STORE_COMPLIANCE, &beyond));
    assert_int_equal(ops->retain(s, mar_us, 78, &more), ERR_OK); /* nothing more to do */
    assert_int_equal(ops->retained(s, mar_us, &records, &events), ERR_OK);
    assert_int_equal(records, 4);
}

/* More than one step takes. */
static void test_retention_in_steps(void **state)
{
    struct store *s = *state;
    const uint64_t feb_us = 31ull * 86400 * 1000000;
    uint64_t records = 0, events = 0;
    bool more, is_new;
    for (unsigned i = 0; i < SQL_RETAIN_STEP + 5; i++) {
        struct store_record r = make_record(1, 1, i + 1, 1);
        memcpy(r.name, &i, sizeof i);
        r.received_us = i;
        assert_int_equal(ops->record_put(s, STORE_COMPLIANCE, &r, &is_new), ERR_OK);
    }
    do
        assert_int_equal(ops->retain(s, feb_us, 77, &more), ERR_OK);
    while (more);
    assert_int_equal(ops->retained(s, feb_us, &records, &events), ERR_OK);
    assert_int_equal(records, SQL_RETAIN_STEP + 5);
    struct store_record last = make_record(1, 1, SQL_RETAIN_STEP + 5, 1);
    assert_true(has_in(s, STORE_COMPLIANCE, &last));
}

#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

/* Memory does not outlive its store: there the last tests would find nothing. */
#define DURABLE 7

static int run_all(const char *name)
{
    struct CMUnitTest tests[] = {
        STORE_TEST(test_records_are_idempotent),
        STORE_TEST(test_undo_takes_back_one_request_only),
        STORE_TEST(test_forks),
        STORE_TEST(test_records_in_one_turn),
        STORE_TEST(test_one_of_a_turn_fails),
        STORE_TEST(test_known_is_the_incarnation_that_spoke_last),
        STORE_TEST(test_tokens),
        STORE_TEST(test_find),
        STORE_TEST(test_find_says_when_there_is_more),
        STORE_TEST(test_nobody_is_crowded_out),
        STORE_TEST(test_asked_ahead),
        STORE_TEST(test_answers_that_were_taken_make_room),
        STORE_TEST(test_digest_counts_what_the_device_brought),
        STORE_TEST(test_orders_wait_until_they_are_done),
        STORE_TEST(test_whose_loss_an_order_is),
        STORE_TEST(test_another_device_may_answer),
        STORE_TEST(test_the_newest_holder_comes_first),
        STORE_TEST(test_keys_of_a_window),
        STORE_TEST(test_a_slow_clock_is_believed_once),
        STORE_TEST(test_many_keys_of_one_device),
        STORE_TEST(test_disclosures_are_idempotent),
        STORE_TEST(test_boot_events),
        STORE_TEST(test_two_servers_get_one_event),
        STORE_TEST(test_devices),
        STORE_TEST(test_decisions_about_devices),
        STORE_TEST(test_texts_that_are_none),
        STORE_TEST(test_retention),
        STORE_TEST(test_retention_in_steps),
        STORE_TEST(test_only_what_was_committed_stays),
        STORE_TEST(test_reading_beside_a_writer),
        cmocka_unit_test(test_a_newer_database_is_refused),
        cmocka_unit_test(test_an_older_database_is_brought_forward),
        cmocka_unit_test(test_a_long_migration_says_that_it_goes_on),
        cmocka_unit_test(test_a_months_room_is_used_again),
        cmocka_unit_test(test_nothing_is_made_by_reading),
    };
    size_t n = sizeof tests / sizeof tests[0];
    if (engine.url != NULL)
        n -= 4; /* PostgreSQL has had one version only, and one that was not made yet may come */
    else if (!engine.in_files)
        n -= DURABLE;
    return _cmocka_run_group_tests(name, tests, n, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        engine.url = argv[1];
        return run_all("postgres");
    }
    int failed = run_all("memory");
    engine.in_files = true;
    return failed + run_all("files");
}
