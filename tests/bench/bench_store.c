/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The store alone, for tests/bench/bench_server.py: what a commit costs, and a look-up among very many keys.
 * One JSON line. PLACE: a folder, or a PostgreSQL connection string.
 *
 * commit PLACE SECONDS BATCH: escrow records, BATCH to a commit; signatures are not the store's business
 * bare DIR SECONDS BATCH: bare rows in their place (bench_bare.h)
 * fill DIR DEVICES KEYS: a SQLite recovery store in bulk */
#include "crypto/hash.h"
#include "crypto/random.h"
#include "escrow-server/store/store.h"
#include "tests/bench/bench_bare.h"
#include "tests/bench/bench_fill.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORD_LEN 700 /* an escrow record with two recipients */
#define ENVELOPE   400
#define BATCH_MAX  256

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

struct put {
    uint8_t bytes[RECORD_LEN];
    struct store_record r;
    struct envelope e;
};

static void make(struct put *p, uint64_t n)
{
    struct store_record *r = &p->r;
    *r = (struct store_record){
        .bytes = p->bytes, .len = sizeof p->bytes, .received_us = 1700000000000000ull + n};
    check(cr_random(p->bytes, 96), "random");
    memcpy(p->bytes + 96, &n, sizeof n);
    check(cr_sha256(p->bytes, sizeof p->bytes, r->name), "hash");
    r->r.kind = RECORD_ESCROW;
    r->r.sequence = n / 64 + 1;
    r->r.device[0] = (uint8_t)(n % 64); /* 64 devices */
    r->r.envelope = p->bytes;
    r->r.envelope_len = ENVELOPE;
    p->e.kind = ENVELOPE_RECOVERY_PASSWORD;
    memcpy(p->e.key_id.bytes, p->bytes, 16);
    memcpy(p->e.device, r->r.device, 32);
}

/* As the writer does it for one sync: a mark, the record, its envelope, is it a fork? */
static void put_one(struct store *s, const struct put *p)
{
    bool is_new, fork;
    check(store_sql.mark(s, STORE_RECOVERY), "mark");
    check(store_sql.record_put(s, STORE_RECOVERY, &p->r, &is_new), "record");
    check(store_sql.envelope_put(s, &p->r, &p->e), "envelope");
    check(store_sql.forked(s, STORE_RECOVERY, &p->r, &fork), "fork");
    check(store_sql.release(s, STORE_RECOVERY), "release");
}

/* As it does it for the syncs of a batch where the store has room for them. */
static void put_together(struct store *s, const struct put *p, unsigned n)
{
    struct store_put answer;
    check(store_sql.mark(s, STORE_RECOVERY), "mark");
    for (unsigned i = 0; i < n; i++)
        check(store_sql.post(s, STORE_RECOVERY, &p[i].r, &p[i].e), "post");
    for (unsigned i = 0; i < n; i++)
        check(store_sql.posted(s, STORE_RECOVERY, &p[i].r, &answer), "posted");
    check(store_sql.release(s, STORE_RECOVERY), "release");
}

static void put_batch(struct store *s, uint64_t *n, unsigned batch)
{
    static struct put puts[BATCH_MAX];
    for (unsigned i = 0; i < batch; i++)
        make(&puts[i], (*n)++);
    if (store_sql.room(s, STORE_RECOVERY) >= batch) {
        put_together(s, puts, batch);
        return;
    }
    for (unsigned i = 0; i < batch; i++)
        put_one(s, &puts[i]);
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
        put_batch(s, &n, batch);
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

static int do_bare(char **a)
{
    uint64_t rows = 0;
    double took = 0;
    check(bench_bare(a[0], strtod(a[1], NULL), (unsigned)strtoul(a[2], NULL, 10), &rows, &took), "bare");
    printf("{\"rows\":%llu,\"per_second\":%.1f}\n", (unsigned long long)rows, (double)rows / took);
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
    if (argc == 5 && strcmp(argv[1], "commit") == 0 && strtoul(argv[4], NULL, 10) <= BATCH_MAX)
        return do_commit(argv + 2);
    if (argc == 5 && strcmp(argv[1], "bare") == 0)
        return do_bare(argv + 2);
    if (argc == 5 && strcmp(argv[1], "fill") == 0)
        return do_fill(argv + 2);
    fputs("usage: bench_store commit PLACE SECONDS BATCH | bare DIR SECONDS BATCH | fill DIR DEVICES KEYS\n",
          stderr);
    return 2;
}
