/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Encrypt-on-write: bit maps that say of each chunk of the volume whether it is encrypted by now.
 *     descriptor (two copies) → maps, one for each region of the volume → two records, the later one counts
 * The bits stay on the disk and are looked up when the volume is read.
 * source: docs/formats.md#bitlocker-encrypt-on-write */
#include "formats/bitlocker_format.h"
#include <string.h>

#define DESCRIPTOR_LEN 56
#define MAP_LEN        60
#define RECORD_LEN     36
#define WINDOW         512         /* bytes of bits read at once */
#define RECORDS_MAX    (64u << 20) /* bytes of all records: at 2 MiB a chunk enough for 500 TiB */

struct descriptor {
    uint64_t off;
    uint32_t len, chunk, log_len, n_maps;
    uint32_t budget; /* bytes of records that may still be read */
};

static enum err wrong(struct bitlocker_problem *ret, const char *what, uint64_t off)
{
    *ret = (struct bitlocker_problem){what, off};
    return ERR_FORMAT;
}

static enum err read_at(const struct bitlocker *b, uint64_t off, void *to, size_t len)
{
    if (off > b->size || len > b->size - off)
        return ERR_FORMAT;
    enum err e = b->io.read(b->io.ctx, off, to, len);
    return e == ERR_OK ? e : ERR_IO;
}

/* CRC-32 over len bytes on the disk, its own field counted as zeros; a field of zero is not checked. */
static enum err check_crc(const struct bitlocker *b, uint64_t off, uint64_t len, uint32_t field)
{
    uint8_t *p = b->room->scratch;
    uint32_t crc = 0, want = 0;
    for (uint64_t at = 0; at < len; at += sizeof b->room->scratch) {
        size_t n = len - at < sizeof b->room->scratch ? (size_t)(len - at) : sizeof b->room->scratch;
        TRY(read_at(b, off + at, p, n));
        if (at == 0) {
            struct reader r;
            reader_init(&r, p, n);
            reader_seek(&r, field);
            want = reader_u32(&r);
            TRY(r.err);
            memset(p + field, 0, 4);
        }
        crc = bitlocker_crc32(crc, p, n);
    }
    return want == 0 || crc == want ? ERR_OK : ERR_FORMAT;
}

/* err: NOT_FOUND (not there at all), FORMAT, IO */
static enum err read_descriptor(const struct bitlocker *b, uint64_t off, struct descriptor *ret)
{
    uint8_t p[DESCRIPTOR_LEN];
    struct reader r;
    struct descriptor d = {.off = off, .budget = RECORDS_MAX};
    if (off == 0)
        return ERR_NOT_FOUND;
    TRY(read_at(b, off, p, sizeof p));
    reader_init(&r, p, sizeof p);
    reader_expect(&r, "FVE-EOW", 8);
    if (r.err != ERR_OK)
        return ERR_NOT_FOUND;
    uint32_t header_len = reader_u16(&r);
    d.len = reader_u16(&r);
    reader_skip(&r, 8);
    d.chunk = reader_u32(&r);
    d.log_len = reader_u32(&r);
    reader_skip(&r, 4);
    d.n_maps = reader_u32(&r);
    if (header_len != DESCRIPTOR_LEN || d.len < DESCRIPTOR_LEN || d.n_maps > (d.len - DESCRIPTOR_LEN) / 8 ||
        d.chunk == 0 || d.chunk % b->sector_size != 0)
        return ERR_FORMAT;
    TRY(check_crc(b, off, d.len, 36));
    *ret = d;
    return ERR_OK;
}

/* Two copies; the first that is good counts. Both hide from Windows' view. */
static enum err find_descriptor(struct bitlocker_volume *v, struct descriptor *ret,
                                struct bitlocker_problem *p)
{
    const struct bitlocker *b = v->b;
    enum err worst = ERR_NOT_FOUND;
    bool found = false;
    for (unsigned i = 2; i-- > 0;) {
        struct descriptor d;
        enum err e = read_descriptor(b, b->eow_off[i], &d);
        if (e == ERR_OK) {
            bitlocker_ranges_add(v, d.off, d.len + b->sector_size - 1);
            *ret = d;
            found = true;
        } else if (e != ERR_NOT_FOUND) {
            worst =
                wrong(p, "the descriptor of encrypt-on-write is damaged", b->eow_off[i]) == e ? e : ERR_IO;
        }
    }
    return found ? ERR_OK : worst;
}

/* A copy of a map's bits. */
struct record {
    uint64_t number, bits_off;
    uint32_t n_bits;
};

static enum err read_record(const struct bitlocker *b, uint64_t off, uint32_t *budget, struct record *ret)
{
    uint8_t p[RECORD_LEN];
    struct reader r;
    TRY(read_at(b, off, p, sizeof p));
    reader_init(&r, p, sizeof p);
    reader_expect(&r, "FVE-EOWBR", 10);
    uint32_t header_len = reader_u16(&r), len = reader_u32(&r), n_bits = reader_u32(&r);
    uint64_t number = reader_u64(&r);
    if (r.err != ERR_OK || header_len < RECORD_LEN || len < header_len)
        return ERR_FORMAT;
    if (n_bits > (uint64_t)(len - header_len) * 8 || len > *budget)
        return ERR_FORMAT;
    *budget -= len;
    TRY(check_crc(b, off, len, 32));
    *ret = (struct record){.number = number, .bits_off = off + header_len, .n_bits = n_bits};
    return ERR_OK;
}

/* The record with the higher number, of those that verify. */
static enum err find_record(const struct bitlocker *b, const uint64_t off[2], uint32_t *budget,
                            struct bitlocker_map *m)
{
    struct record best = {0};
    bool found = false;
    for (unsigned i = 0; i < 2; i++) {
        struct record x;
        enum err e = read_record(b, off[i], budget, &x);
        if (e == ERR_IO)
            return e;
        if (e != ERR_OK || (found && x.number < best.number))
            continue;
        best = x;
        found = true;
    }
    m->bits_off = best.bits_off;
    m->n_bits = best.n_bits;
    return found ? ERR_OK : ERR_FORMAT;
}

/* One map: the region it speaks of, its bits, and what it and its log take from the volume. */
static enum err read_map(struct bitlocker_volume *v, struct descriptor *d, uint64_t off,
                         struct bitlocker_map *m)
{
    const struct bitlocker *b = v->b;
    uint8_t p[MAP_LEN];
    struct reader r;
    TRY(read_at(b, off, p, sizeof p));
    reader_init(&r, p, sizeof p);
    reader_expect(&r, "FVE-EOWBM", 10);
    reader_skip(&r, 2);
    uint32_t len = reader_u32(&r);
    reader_skip(&r, 4);
    m->off = reader_u64(&r);
    uint64_t region = reader_u64(&r), log_off = reader_u64(&r);
    uint32_t first = reader_u32(&r), second = reader_u32(&r);
    uint64_t record[2] = {off + first, off + second};
    TRY(r.err);
    if (__builtin_add_overflow(m->off, region, &m->end) || m->off % b->sector_size != 0 ||
        m->end % b->sector_size != 0 || first < MAP_LEN || first > BITLOCKER_BLOCK_MAX)
        return ERR_FORMAT;
    TRY(check_crc(b, off, first, 56));
    TRY(find_record(b, record, &d->budget, m));
    if (region / d->chunk + (region % d->chunk != 0) > m->n_bits)
        return ERR_FORMAT;
    bitlocker_ranges_add(v, off, len);
    bitlocker_ranges_add(v, log_off, d->log_len);
    return ERR_OK;
}

/* Regions rise and do not overlap, so that a search by halves finds the one of an offset. */
static bool in_order(const struct bitlocker_map *map, unsigned n)
{
    for (unsigned i = 0; i + 1 < n; i++)
        if (map[i].end > map[i + 1].off)
            return false;
    return true;
}

enum err bitlocker_eow_load(struct bitlocker_volume *v, struct bitlocker_problem *ret_problem)
{
    const struct bitlocker *b = v->b;
    struct bitlocker_map *map = b->room->map;
    struct descriptor d = {0};
    TRY(find_descriptor(v, &d, ret_problem));
    for (unsigned i = 0; i < d.n_maps; i++) {
        uint8_t p[8];
        struct reader r;
        TRY(read_at(b, d.off + DESCRIPTOR_LEN + 8 * i, p, sizeof p));
        reader_init(&r, p, sizeof p);
        uint64_t off = reader_u64(&r);
        enum err e = read_map(v, &d, off, &map[i]);
        if (e == ERR_FORMAT || e == ERR_TRUNCATED)
            return wrong(ret_problem, "a bit map of encrypt-on-write is damaged", off);
        TRY(e);
    }
    if (!in_order(map, d.n_maps))
        return wrong(ret_problem, "the bit maps of encrypt-on-write are not in order", d.off);
    v->map = map;
    v->n_maps = d.n_maps;
    v->chunk = d.chunk;
    return ERR_OK;
}

/* The last map that begins at or before off, or the number of maps. */
static unsigned find_map(const struct bitlocker_volume *v, uint64_t off)
{
    unsigned lo = 0, hi = v->n_maps;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (v->map[mid].off <= off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo == 0 ? v->n_maps : lo - 1;
}

/* Length of the run of equal bits from bit on, as far as one window of them goes. */
static enum err read_run(const struct bitlocker *b, const struct bitlocker_map *m, uint64_t bit,
                         bool *ret_set, uint64_t *ret_n)
{
    uint8_t p[WINDOW];
    uint64_t last = m->n_bits, from = bit / 8;
    size_t len = (last + 7) / 8 - from < sizeof p ? (size_t)((last + 7) / 8 - from) : sizeof p;
    TRY(read_at(b, m->bits_off + from, p, len));
    bool set = p[0] >> bit % 8 & 1;
    uint64_t n = 1;
    while (bit + n < last && (bit + n) / 8 - from < len &&
           (bool)(p[(bit + n) / 8 - from] >> (bit + n) % 8 & 1) == set)
        n++;
    *ret_set = set;
    *ret_n = n;
    return ERR_OK;
}

static void limit(uint64_t *len, uint64_t most)
{
    *len = *len < most ? *len : most;
}

/* What no map speaks of is encrypted: it was so from the start. */
enum err bitlocker_eow_extent(const struct bitlocker_volume *v, uint64_t off, uint64_t end,
                              enum bitlocker_extent *ret_kind, uint64_t *ret_len)
{
    unsigned i = find_map(v, off);
    const struct bitlocker_map *m = &v->map[i];
    bool set = true;
    uint64_t len = end - off, n;
    if (i < v->n_maps && off < m->end) {
        uint64_t bit = (off - m->off) / v->chunk;
        TRY(read_run(v->b, m, bit, &set, &n));
        limit(&len, m->end - off);
        limit(&len, (bit + n) * v->chunk - (off - m->off));
    } else if (i < v->n_maps && i + 1 < v->n_maps) {
        limit(&len, v->map[i + 1].off - off);
    } else if (i == v->n_maps && v->n_maps > 0) {
        limit(&len, v->map[0].off - off);
    }
    *ret_kind = set ? BITLOCKER_CIPHER : BITLOCKER_CLEAR;
    *ret_len = len;
    return ERR_OK;
}
