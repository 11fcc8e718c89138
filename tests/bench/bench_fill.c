/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/bench/bench_fill.h"
#include "crypto/hash.h"
#include "formats/envelope.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_LEN  700
#define RECIPIENTS  2
#define INDEXES_MAX 16
#define RECEIVED_US 1700000000000000ll
#define GUID_SQL                                                                                             \
    "substr(hex(?4),1,8)||'-'||substr(hex(?4),9,4)||'-'||substr(hex(?4),13,4)||'-'||"                        \
    "substr(hex(?4),17,4)||'-'||substr(hex(?4),21,12)"

static const char put_device[] = "INSERT INTO devices (id, spki, courier, computer, enrolled) VALUES"
                                 " (?1, zeroblob(91), ?1, 'pc-' || ?2, ?2)";
static const char put_record[] =
    "INSERT INTO records (name, device, incarnation, sequence, previous, kind, time,"
    " received_us, bytes) VALUES (?1, ?2, substr(?2, 1, 16), ?3, zeroblob(32), 1, 0, ?5, ?6)";
static const char put_envelope[] =
    "INSERT INTO envelopes (hash, sender, record, key_id, volume, device, own, commitment, computer, label, "
    "time,"
    " received_us, bytes) VALUES (?1, ?2, ?1, " GUID_SQL ", ?4, ?2, 1, ?1, 'pc', 'root', 0, ?5, ?6)";

struct fill {
    sqlite3 *c;
    sqlite3_stmt *device, *record, *envelope;
    char *index[INDEXES_MAX]; /* how to make them again */
    unsigned n;
};

static enum err exec(struct fill *f, const char *sql)
{
    if (sqlite3_exec(f->c, sql, NULL, NULL, NULL) == SQLITE_OK)
        return ERR_OK;
    fprintf(stderr, "bench_fill: %s: %s\n", sql, sqlite3_errmsg(f->c));
    return ERR_IO;
}

static int take_index(void *ctx, int n, char **value, char **name)
{
    struct fill *f = ctx;
    (void)n, (void)name;
    if (f->n < INDEXES_MAX)
        f->index[f->n++] = strdup(value[0]);
    return 0;
}

/* CREATE INDEX name ON ..., or CREATE UNIQUE INDEX. */
static enum err drop_indexes(struct fill *f)
{
    if (sqlite3_exec(f->c, "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
                     take_index, f, NULL) != SQLITE_OK)
        return ERR_IO;
    for (unsigned i = 0; i < f->n; i++) {
        char name[64], sql[96];
        if (f->index[i] == NULL || (sscanf(f->index[i], "CREATE INDEX %63s", name) != 1 &&
                                    sscanf(f->index[i], "CREATE UNIQUE INDEX %63s", name) != 1))
            return ERR_FORMAT;
        snprintf(sql, sizeof sql, "DROP INDEX %s", name);
        TRY(exec(f, sql));
    }
    return ERR_OK;
}

static enum err prepare(struct fill *f, const char *sql, sqlite3_stmt **ret)
{
    return sqlite3_prepare_v2(f->c, sql, -1, ret, NULL) == SQLITE_OK ? ERR_OK : exec(f, sql);
}

/* A hash that rises with i, so that tables grow at their end. */
static enum err rising(uint64_t i, char kind, uint8_t ret[static 32])
{
    uint8_t seed[9];
    memcpy(seed, &i, sizeof i);
    seed[8] = (uint8_t)kind;
    TRY(cr_sha256(seed, sizeof seed, ret));
    for (unsigned b = 0; b < 5; b++)
        ret[b] = (uint8_t)(i >> (32 - 8 * b));
    return ERR_OK;
}

static enum err step(sqlite3_stmt *s)
{
    int code = sqlite3_step(s);
    sqlite3_reset(s);
    return code == SQLITE_DONE ? ERR_OK : ERR_IO;
}

static enum err device(struct fill *f, uint64_t i)
{
    uint8_t id[32];
    TRY(rising(i, 'd', id));
    sqlite3_bind_blob(f->device, 1, id, sizeof id, SQLITE_STATIC);
    sqlite3_bind_int64(f->device, 2, (sqlite3_int64)i);
    return step(f->device);
}

/* As much of an envelope as decoding looks at. */
static void shape(uint8_t *p, const uint8_t key[static 32])
{
    memset(p, 0, ENVELOPE_LEN(RECIPIENTS));
    memcpy(p + 16, key, 32);
}

static void bind(sqlite3_stmt *s, const uint8_t *name, const uint8_t *id, uint64_t i, const uint8_t *key)
{
    sqlite3_bind_blob(s, 1, name, 32, SQLITE_STATIC);
    sqlite3_bind_blob(s, 2, id, 32, SQLITE_STATIC);
    sqlite3_bind_int64(s, 3, (sqlite3_int64)i + 1);
    sqlite3_bind_blob(s, 4, key, 16, SQLITE_STATIC);
    sqlite3_bind_int64(s, 5, RECEIVED_US + (sqlite3_int64)i);
}

static enum err key(struct fill *f, uint64_t i, uint64_t devices)
{
    static uint8_t bytes[RECORD_LEN];
    uint8_t name[32], id[32], k[32], seed[9];
    memcpy(seed, &i, sizeof i);
    seed[8] = 'k';
    TRY(cr_sha256(seed, sizeof seed, k)); /* key IDs are random */
    TRY(rising(i, 'n', name));
    TRY(rising(i % devices, 'd', id));
    shape(bytes, k);
    bind(f->record, name, id, i / devices, k);
    sqlite3_bind_blob(f->record, 6, bytes, sizeof bytes, SQLITE_STATIC);
    TRY(step(f->record));
    bind(f->envelope, name, id, i / devices, k);
    sqlite3_bind_blob(f->envelope, 6, bytes, ENVELOPE_LEN(RECIPIENTS), SQLITE_STATIC);
    return step(f->envelope);
}

static enum err rows(struct fill *f, uint64_t devices, uint64_t keys)
{
    TRY(prepare(f, put_device, &f->device));
    TRY(prepare(f, put_record, &f->record));
    TRY(prepare(f, put_envelope, &f->envelope));
    TRY(exec(f, "BEGIN"));
    for (uint64_t i = 0; i < devices; i++)
        TRY(device(f, i));
    for (uint64_t i = 0; i < keys; i++)
        TRY(key(f, i, devices));
    sqlite3_finalize(f->device);
    sqlite3_finalize(f->record);
    sqlite3_finalize(f->envelope);
    return exec(f, "COMMIT");
}

enum err bench_fill(const char *dir, uint64_t devices, uint64_t keys)
{
    struct fill f = {0};
    char path[4096];
    snprintf(path, sizeof path, "%s/recovery.db", dir);
    if (sqlite3_open(path, &f.c) != SQLITE_OK)
        return ERR_IO;
    TRY(exec(&f, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-500000;"
                 " PRAGMA temp_store=FILE"));
    TRY(drop_indexes(&f));
    TRY(rows(&f, devices, keys));
    for (unsigned i = 0; i < f.n; i++) {
        TRY(exec(&f, f.index[i]));
        free(f.index[i]);
    }
    TRY(exec(&f, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"));
    return sqlite3_close(f.c) == SQLITE_OK ? ERR_OK : ERR_IO;
}
