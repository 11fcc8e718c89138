#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The stores behind their table of operations: what each program of the suite test_store_* begins with. One
 * suite for every engine: without arguments on SQLite, in memory and in files; with a connection string on
 * PostgreSQL, whose two schemas it drops and makes again for each test (tests/server/test_postgres.py). */

#include "escrow-server/store/sql.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
/* after setjmp.h and stdarg.h, as cmocka wants */
#include <cmocka.h>

extern const struct store_ops *const ops;
extern const enum store_half both[2];

/* The engine under test. */
struct store_engine {
    bool in_files;
    const char *url; /* NULL: SQLite */
    char dir[64];
    struct store_place place;
};
extern struct store_engine engine;

/* A program's tests. First those for every engine; then those whose store is opened again, which memory does
 * not outlive; last those for SQLite's files alone: PostgreSQL has had one version only, and one that was not
 * made yet may come. */
struct store_suite {
    const struct CMUnitTest *test;
    size_t n;         /* all of them */
    size_t n_durable; /* not in memory: so many at the end */
    size_t n_files;   /* not on PostgreSQL either: so many of those, at the end */
};
/* Run a program's tests on the engine or engines that its arguments name, as above.
 * returns: what main returns: how many failed */
int run_suite(int argc, char **argv, const struct store_suite *suite);

/* A place for a store, without one in it, and its end. */
int make_place(void **state);
int remove_place(void **state);
/* A store in such a place, with a transaction open in both halves. */
int open_store(void **state);
int close_store(void **state);
#define STORE_TEST(f) cmocka_unit_test_setup_teardown(f, open_store, close_store)

/* A statement on PostgreSQL, past the store. */
void pg_do(const char *sql);
/* Does a session on PostgreSQL wait for another one? */
bool somebody_waits(void);
/* A store's file, beside the store. */
sqlite3 *open_file(const char *file);
/* The number with which it answers a query. */
uint64_t ask_file(const char *file, const char *sql);

/* A record as the writer would hand it over; signatures are not the store's business. */
struct store_record make_record(uint8_t device, uint8_t incarnation, uint64_t sequence, uint8_t name);
/* Is it there? By its number. */
bool has_in(struct store *s, enum store_half half, const struct store_record *r);

struct made {
    uint8_t bytes[40];
    struct envelope e;
};
/* An envelope of `owner`, sent by the device of r. */
void put_envelope(struct store *s, struct store_record *r, const char *key, uint8_t owner, uint8_t commitment,
                  struct made *m);
