/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store alone, for tests/bench/server.py: what a commit costs, and a look-up among very many keys. One
 * JSON line. bench_store commit PLACE SECONDS BATCH   escrow records, BATCH to a commit; signatures are not
 * the store's business bench_store fill DIR DEVICES KEYS        a SQLite recovery store in bulk PLACE: a
 * folder, or a PostgreSQL connection string. */
#include "crypto/hash.h"
#include "crypto/random.h"
#include "escrow-server/store/store.h"
#include "tests/bench/bench_fill.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORD_LEN 700 /* an escrow record with two recipients */
#define ENVELOPE   400

static void check(enum err e, const char *what)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "bench_store: %s: %s\n", what, err_name(e));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* As the writer does it for one sync: a mark, the record, its envelope, is it a fork? */
static void put_one(struct store *s, uint64_t n)
{
    static uint8_t bytes[RECORD_LEN];
    struct store_record r = {.bytes = bytes, .len = sizeof bytes, .received_us = 1700000000000000ull + n};
    struct envelope e = {.kind = ENVELOPE_RECOVERY_PASSWORD};
    bool is_new, fork;
    check(cr_random(bytes, 96), "random");
    memcpy(bytes + 96, &n, sizeof n);
    check(cr_sha256(bytes, sizeof bytes, r.name), "hash");
    r.r.kind = RECORD_ESCROW;
    r.r.sequence = n / 64 + 1;
    r.r.device[0] = (uint8_t)(n % 64); /* 64 devices */
    r.r.envelope = bytes;
    r.r.envelope_len = ENVELOPE;
    memcpy(e.key_id.bytes, bytes, 16);
    memcpy(e.device, r.r.device, 32);
    check(store_sql.mark(s, STORE_RECOVERY), "mark");
    check(store_sql.record_put(s, STORE_RECOVERY, &r, &is_new), "record");
    check(store_sql.envelope_put(s, &r, &e), "envelope");
    check(store_sql.forked(s, STORE_RECOVERY, &r, &fork), "fork");
    check(store_sql.release(s, STORE_RECOVERY), "release");
}

static int do_commit(char **a)
{
    bool is_url = strchr(a[0], ':') != NULL, replicated;
    struct store_place place = {
        .dir = is_url ? NULL : a[0], .url = {is_url ? a[0] : NULL, NULL}, .patient = true};
    struct store *s = NULL;
    double seconds = strtod(a[1], NULL);
    unsigned batch = (unsigned)strtoul(a[2], NULL, 10);
    uint64_t n = (uint64_t)time(NULL) << 24;
    uint64_t first = n, commits = 0;
    check(store_sql.open(&place, &s), "open");
    double start = now(), cpu = cpu_us();
    for (; now() - start < seconds; commits++) {
        check(store_sql.begin(s, STORE_RECOVERY), "begin");
        for (unsigned i = 0; i < batch; i++)
            put_one(s, n++);
        check(store_sql.commit(s, STORE_RECOVERY, &replicated), "commit");
    }
    double took = now() - start;
    printf("{\"batch\":%u,\"records\":%llu,\"commits\":%llu,\"per_second\":%.1f,\"commit_ms\":%.3f,\"cpu_"
           "us\":%.1f}\n",
           batch, (unsigned long long)(n - first), (unsigned long long)commits, (double)(n - first) / took,
           1000 * took / (double)commits, (cpu_us() - cpu) / (double)(n - first));
    store_sql.close(s);
    return 0;
}

static int do_fill(char **a)
{
    double start = now();
    struct store *s = NULL;
    struct store_place place = {.dir = a[0]};
    uint64_t devices = strtoull(a[1], NULL, 10), keys = strtoull(a[2], NULL, 10);
    check(store_sql.open(&place, &s), "open"); /* makes the schema */
    store_sql.close(s);
    check(bench_fill(a[0], devices, keys), "fill");
    printf("{\"devices\":%llu,\"keys\":%llu,\"seconds\":%.1f}\n", (unsigned long long)devices,
           (unsigned long long)keys, now() - start);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "commit") == 0)
        return do_commit(argv + 2);
    if (argc == 5 && strcmp(argv[1], "fill") == 0)
        return do_fill(argv + 2);
    fputs("usage: bench_store commit PLACE SECONDS BATCH | fill DIR DEVICES KEYS\n", stderr);
    return 2;
}
