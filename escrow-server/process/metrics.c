/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOG_PLACES 4096

struct block {
    _Atomic pid_t owner; /* 0: free */
    _Atomic uint64_t v[METRIC_COUNT];
};

struct shared {
    struct block block[METRICS_BLOCKS];
    _Atomic uint64_t logged[LOG_PLACES]; /* second of the last line, monotonic */
};

static struct shared *shared;
static struct block *mine;

const int metrics_codes[METRICS_CODES] = {200, 400, 401, 403, 404, 405, 408, 411, 413, 422, 429, 431, 503, 0};
const uint64_t metrics_time_bounds[METRICS_BUCKETS] = {500,     1000,    2500,    5000,      10000,
                                                       25000,   50000,   100000,  250000,    500000,
                                                       1000000, 2500000, 5000000, UINT64_MAX};
const uint64_t metrics_batch_bounds[METRICS_BUCKETS] = {1, 2, 4, 8, 16, 32, 64, 128, 256, UINT64_MAX};
const uint64_t metrics_age_bounds[METRICS_BUCKETS] = {1,     10,    60,     600,     3600,
                                                      21600, 86400, 604800, 2592000, UINT64_MAX};
const char *const metrics_flags[METRICS_FLAGS + 1] = {"fork", "gap",   "clone",    "clock",
                                                      "lost", "audit", "restored", "identity"};

static enum err map(int fd, struct shared **ret)
{
    void *p = mmap(NULL, sizeof **ret, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return ERR_IO;
    *ret = p;
    return ERR_OK;
}

static enum err take_block(void)
{
    for (unsigned i = 0; i < METRICS_BLOCKS; i++) {
        pid_t nobody = 0;
        if (atomic_compare_exchange_strong(&shared->block[i].owner, &nobody, getpid())) {
            mine = &shared->block[i];
            return ERR_OK;
        }
    }
    return ERR_FULL;
}

enum err metrics_create(int *ret_fd)
{
    int fd = memfd_create("keyholt-metrics", MFD_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    if (ftruncate(fd, sizeof *shared) != 0 || map(fd, &shared) != ERR_OK || take_block() != ERR_OK) {
        close(fd);
        return ERR_IO;
    }
    *ret_fd = fd;
    return ERR_OK;
}

enum err metrics_attach(int fd)
{
    enum err e = shared == NULL ? map(fd, &shared) : ERR_CONFLICT;
    close(fd);
    TRY(e);
    return take_block();
}

void metrics_release(pid_t pid)
{
    for (unsigned i = 0; shared != NULL && i < METRICS_BLOCKS; i++) {
        struct block *b = &shared->block[i];
        if (b->owner != pid || b == mine)
            continue;
        for (unsigned k = METRIC_GAUGES; k < METRIC_GAUGES_END; k++)
            atomic_store_explicit(&b->v[k], 0, memory_order_relaxed);
        atomic_store(&b->owner, 0);
    }
}

/* Only the owner writes, so no read-modify-write of the bus is needed. */
void metrics_add(unsigned metric, uint64_t n)
{
    if (mine == NULL)
        return;
    uint64_t v = atomic_load_explicit(&mine->v[metric], memory_order_relaxed);
    atomic_store_explicit(&mine->v[metric], v + n, memory_order_relaxed);
}

bool metrics_on(void)
{
    return mine != NULL;
}

void metrics_set(unsigned metric, uint64_t v)
{
    if (mine != NULL)
        atomic_store_explicit(&mine->v[metric], v, memory_order_relaxed);
}

void metrics_observe(unsigned histogram, const uint64_t bounds[static METRICS_BUCKETS], uint64_t v)
{
    unsigned i = 0;
    while (bounds[i] < v)
        i++;
    metrics_add(histogram + i, 1);
    metrics_add(histogram + METRICS_BUCKETS, v);
    metrics_add(histogram + METRICS_BUCKETS + 1, 1);
}

void metrics_request(enum metrics_route route, int code)
{
    unsigned i = 0;
    while (metrics_codes[i] != code && metrics_codes[i] != 0)
        i++;
    metrics_add(METRIC_REQUESTS + route * METRICS_CODES + i, 1);
}

void metrics_flag(const char *kind)
{
    for (unsigned i = 0; i < METRICS_FLAGS; i++)
        if (strcmp(metrics_flags[i], kind) == 0)
            metrics_add(METRIC_FLAGS + i, 1);
}

uint64_t metrics_sum(unsigned metric)
{
    uint64_t sum = 0;
    for (unsigned i = 0; shared != NULL && i < METRICS_BLOCKS; i++)
        sum += atomic_load_explicit(&shared->block[i].v[metric], memory_order_relaxed);
    return sum;
}

/* FNV-1a: it need not withstand anybody, who would only silence lines about himself and one in 4096. */
static size_t place_of(const uint8_t *p, size_t len)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return (size_t)((h >> 32) % LOG_PLACES);
}

bool metrics_may_log(const void *who, size_t len)
{
    struct timespec t;
    if (shared == NULL)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
    _Atomic uint64_t *at = &shared->logged[place_of(who, len)];
    uint64_t last = atomic_load(at);
    if ((last == 0 || now - last >= 1000) && atomic_compare_exchange_strong(at, &last, now))
        return true;
    metrics_add(METRIC_LOG_SUPPRESSED, 1);
    return false;
}
