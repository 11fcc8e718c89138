/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/store_fixture.h"
#include <ftw.h>
#include <postgresql/libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct store_ops *const ops = &store_sql;
const enum store_half both[2] = {STORE_RECOVERY, STORE_COMPLIANCE};
struct store_engine engine;

void pg_do(const char *sql)
{
    PGconn *c = PQconnectdb(engine.url);
    PGresult *r = PQexec(c, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    PQclear(r);
    PQfinish(c);
}

bool somebody_waits(void)
{
    PGconn *c = PQconnectdb(engine.url);
    PGresult *r = PQexec(c, "SELECT 1 FROM pg_locks WHERE NOT granted");
    bool ret = PQntuples(r) > 0;
    PQclear(r);
    PQfinish(c);
    return ret;
}

int make_place(void **state)
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

int open_store(void **state)
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

int remove_place(void **state)
{
    (void)state;
    return engine.in_files ? nftw(engine.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) : 0;
}

int close_store(void **state)
{
    ops->close(*state);
    return remove_place(state);
}

sqlite3 *open_file(const char *file)
{
    char path[128];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/%s", engine.dir, file);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

uint64_t ask_file(const char *file, const char *sql)
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

struct store_record make_record(uint8_t device, uint8_t incarnation, uint64_t sequence, uint8_t name)
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

bool has_in(struct store *s, enum store_half half, const struct store_record *r)
{
    bool there = false;
    assert_int_equal(ops->has_sequence(s, half, r->r.device, r->r.incarnation, r->r.sequence, &there),
                     ERR_OK);
    return there;
}

void put_envelope(struct store *s, struct store_record *r, const char *key, uint8_t owner, uint8_t commitment,
                  struct made *m)
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

static int run_some(const char *name, const struct store_suite *suite, size_t n)
{
    return n == 0 ? 0 : _cmocka_run_group_tests(name, suite->test, n, NULL, NULL);
}

int run_suite(int argc, char **argv, const struct store_suite *suite)
{
    if (argc > 1) {
        engine.url = argv[1];
        return run_some("postgres", suite, suite->n - suite->n_files);
    }
    int failed = run_some("memory", suite, suite->n - suite->n_durable);
    engine.in_files = true;
    return failed + run_some("files", suite, suite->n);
}
