/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/quiet.h"
#include "crypto/host/monotonic.h"
#include "crypto/sha256_sum.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAYS 4

/* Of the device and of what it says 16 bytes each: who found two that agree in them could deceive himself. */
struct print {
    uint64_t device[2], said[2];
};

/* One writer, many readers, who cannot lock: `turn` is odd while the rest changes. */
struct entry {
    _Atomic uint64_t turn;
    _Atomic uint64_t part[4]; /* of struct print; a said of zeros: free */
    _Atomic uint64_t until_ms;
};

static struct entry *table;
static uint64_t n_entries;
static uint32_t *drops; /* the writer's own: for each set of WAYS, whether an entry was there or not */

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "who only reads could not");

enum err quiet_make(uint64_t devices, int *ret_write, int *ret_read)
{
    char path[40];
    if (devices < 1 || devices > QUIET_DEVICES_MAX)
        return ERR_RANGE;
    off_t size = (off_t)((devices + WAYS - 1) / WAYS * WAYS * sizeof(struct entry));
    int fd = memfd_create("keyholt-quiet", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return ERR_NOMEM;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reads = -1;
    bool ok = ftruncate(fd, size) == 0 && fchmod(fd, 0600) == 0 &&
              fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0 &&
              (reads = open(path, O_RDONLY | O_CLOEXEC)) >= 0;
    if (!ok) {
        close(fd);
        return ERR_IO;
    }
    *ret_write = fd;
    *ret_read = reads;
    return ERR_OK;
}

static struct entry *ways_of(const struct print *p)
{
    return &table[p->device[0] % (n_entries / WAYS) * WAYS]; /* a device's ID is a hash */
}

static void set(struct entry *e, const struct print *p, uint64_t until_ms)
{
    uint64_t turn =
        atomic_load_explicit(&e->turn, memory_order_relaxed) | 1; /* odd if its writer was killed */
    const uint64_t part[4] = {p->device[0], p->device[1], p->said[0], p->said[1]};
    atomic_store_explicit(&e->turn, turn, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < 4; i++)
        atomic_store_explicit(&e->part[i], part[i], memory_order_relaxed);
    atomic_store_explicit(&e->until_ms, until_ms, memory_order_relaxed);
    atomic_store_explicit(&e->turn, turn + 1, memory_order_release);
}

enum err quiet_clear(int fd)
{
    struct stat st;
    bool ok =
        fstat(fd, &st) == 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, st.st_size) == 0;
    return ok ? ERR_OK : ERR_IO;
}

static enum err begin_drops(bool writer)
{
    free(drops);
    drops = writer ? calloc(n_entries / WAYS, sizeof *drops) : NULL;
    return writer && drops == NULL ? ERR_NOMEM : ERR_OK;
}

enum err quiet_open(int fd, bool writer)
{
    struct stat st;
    void *p = MAP_FAILED;
    bool sized = fstat(fd, &st) == 0 && st.st_size > 0 && (size_t)st.st_size % (WAYS * sizeof *table) == 0;
    if (sized)
        p = mmap(NULL, (size_t)st.st_size, writer ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return sized ? ERR_NOMEM : ERR_FORMAT;
    (void)madvise(p, (size_t)st.st_size, MADV_DONTDUMP);
    n_entries = (uint64_t)st.st_size / sizeof *table;
    enum err e = begin_drops(writer);
    if (e == ERR_OK)
        table = p;
    else
        munmap(p, (size_t)st.st_size);
    return e;
}

static void print_device(const uint8_t device[static 32], struct print *ret)
{
    *ret = (struct print){{0}, {0}};
    memcpy(ret->device, device, sizeof ret->device);
}

static void print_of(const struct quiet *q, struct print *ret)
{
    struct cr_sha256_sum sum;
    uint8_t hash[32], has = q->has_packages;
    print_device(q->device, ret);
    cr_sha256_sum_init(&sum);
    cr_sha256_sum_add(&sum, q->courier, sizeof q->courier);
    cr_sha256_sum_add(&sum, q->envelopes, sizeof q->envelopes);
    cr_sha256_sum_add(&sum, q->last, sizeof q->last);
    cr_sha256_sum_add(&sum, &has, 1);
    if (q->has_packages)
        cr_sha256_sum_add(&sum, q->packages, sizeof q->packages);
    cr_sha256_sum_end(&sum, hash);
    memcpy(ret->said, hash, sizeof ret->said);
}

static uint64_t part(struct entry *e, unsigned i)
{
    return atomic_load_explicit(&e->part[i], memory_order_relaxed);
}

static bool is_of(struct entry *e, const struct print *p)
{
    return part(e, 0) == p->device[0] && part(e, 1) == p->device[1];
}

static uint32_t *drops_of(const struct entry *way)
{
    return &drops[(way - table) / WAYS];
}

void quiet_drop(const uint8_t device[static 32])
{
    static const struct print none;
    struct print p;
    if (table == NULL)
        return;
    print_device(device, &p);
    struct entry *way = ways_of(&p);
    *drops_of(way) += 1;
    for (unsigned i = 0; i < WAYS; i++)
        if (is_of(&way[i], &p))
            set(&way[i], &none, 0);
}

uint32_t quiet_drops(const uint8_t device[static 32])
{
    struct print p;
    if (table == NULL)
        return 0;
    print_device(device, &p);
    return *drops_of(ways_of(&p));
}

static uint64_t until(struct entry *e)
{
    return atomic_load_explicit(&e->until_ms, memory_order_relaxed);
}

/* Where this device was, else the entry that ends first; free ones ended long ago. */
void quiet_put(const struct quiet *q, uint32_t since)
{
    struct print p;
    if (table == NULL)
        return;
    print_of(q, &p);
    struct entry *way = ways_of(&p), *to = way;
    if (*drops_of(way) != since)
        return;
    for (unsigned i = 0; i < WAYS && !is_of(to, &p); i++)
        if (is_of(&way[i], &p) || until(&way[i]) < until(to))
            to = &way[i];
    set(to, &p, (uint64_t)monotonic_ms() + QUIET_S * 1000);
}

static bool holds(struct entry *e, const struct print *p, uint64_t now_ms)
{
    uint64_t turn = atomic_load_explicit(&e->turn, memory_order_acquire);
    bool same = is_of(e, p) && part(e, 2) == p->said[0] && part(e, 3) == p->said[1] && until(e) > now_ms;
    atomic_thread_fence(memory_order_acquire);
    return same && turn % 2 == 0 && turn == atomic_load_explicit(&e->turn, memory_order_relaxed);
}

bool quiet_has(const struct quiet *q)
{
    struct print p;
    if (table == NULL)
        return false;
    print_of(q, &p);
    struct entry *way = ways_of(&p);
    uint64_t now_ms = (uint64_t)monotonic_ms();
    for (unsigned i = 0; i < WAYS; i++)
        if (holds(&way[i], &p, now_ms))
            return true;
    return false;
}
