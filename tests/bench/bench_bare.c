/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/bench_bare.h"
#include "crypto/random.h"
#include "escrow-server/store/sql.h"
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROW_LEN 1100 /* an escrow record, and what is indexed of its envelope */

struct bare {
    sqlite3 *c;
    sqlite3_stmt *begin, *put, *commit;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum err check(struct bare *b, int code)
{
    if (code == SQLITE_OK || code == SQLITE_DONE)
        return ERR_OK;
    fprintf(stderr, "bench_bare: %s\n", sqlite3_errmsg(b->c));
    return ERR_IO;
}

static enum err step(struct bare *b, sqlite3_stmt *s)
{
    enum err e = check(b, sqlite3_step(s));
    sqlite3_reset(s);
    return e;
}

static enum err open_file(struct bare *b, const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/bare.db", dir);
    TRY(check(b, sqlite3_open(path, &b->c)));
    TRY(check(b, sqlite3_exec(b->c, sql_sqlite_open, NULL, NULL, NULL)));
    TRY(check(b, sqlite3_exec(b->c,
                              "CREATE TABLE IF NOT EXISTS rows (device BLOB, key BLOB, bytes BLOB);"
                              "CREATE INDEX IF NOT EXISTS by_device ON rows (device);"
                              "CREATE INDEX IF NOT EXISTS by_key ON rows (key)",
                              NULL, NULL, NULL)));
    TRY(check(b, sqlite3_prepare_v2(b->c, "BEGIN IMMEDIATE", -1, &b->begin, NULL)));
    TRY(check(b, sqlite3_prepare_v2(b->c, "INSERT INTO rows VALUES (?1, ?2, ?3)", -1, &b->put, NULL)));
    return check(b, sqlite3_prepare_v2(b->c, "COMMIT", -1, &b->commit, NULL));
}

static enum err put(struct bare *b, uint8_t bytes[static ROW_LEN])
{
    TRY(cr_random(bytes, 68));
    sqlite3_bind_blob(b->put, 1, bytes, 32, SQLITE_STATIC);
    sqlite3_bind_blob(b->put, 2, bytes + 32, 36, SQLITE_STATIC);
    sqlite3_bind_blob(b->put, 3, bytes, ROW_LEN, SQLITE_STATIC);
    return step(b, b->put);
}

static enum err put_batch(struct bare *b, unsigned batch)
{
    uint8_t bytes[ROW_LEN] = {0};
    TRY(step(b, b->begin));
    for (unsigned i = 0; i < batch; i++)
        TRY(put(b, bytes));
    return step(b, b->commit);
}

static void close_file(struct bare *b)
{
    sqlite3_finalize(b->begin);
    sqlite3_finalize(b->put);
    sqlite3_finalize(b->commit);
    sqlite3_close(b->c);
}

enum err bench_bare(const char *dir, double seconds, unsigned batch, uint64_t *ret_rows, double *ret_seconds)
{
    __attribute__((cleanup(close_file))) struct bare b = {.c = NULL};
    uint64_t n = 0;
    TRY(open_file(&b, dir));
    double start = now();
    for (; now() - start < seconds; n += batch)
        TRY(put_batch(&b, batch));
    *ret_rows = n;
    *ret_seconds = now() - start;
    return ERR_OK;
}
