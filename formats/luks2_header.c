/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The binary header, which copy counts, and the walk from bytes to struct luks2.
 * source: LUKS2 On-Disk Format Specification 1.1.1, section 2 */
#include "crypto/cursor.h"
#include "formats/luks2_metadata.h"
#include <string.h>

#define CSUM_OFF 448
#define CSUM_LEN 64
#define BIN_USED (CSUM_OFF + CSUM_LEN) /* the rest of the 4096 bytes is padding */

/* What the binary header says of itself. */
struct copy {
    uint64_t off; /* where it was found */
    uint64_t size, seqid;
    bool good; /* its checksum holds */
};

/* The caller's scratch: result, then header bytes, then tokens. */
struct room {
    struct luks2 *l;
    uint8_t *hdr;
    size_t hdr_cap;
};

_Static_assert(LUKS2_SCRATCH(LUKS2_HDR_MIN) >=
                   sizeof(struct luks2) + 64 + LUKS2_HDR_MIN + JW_SCRATCH(LUKS2_HDR_MIN),
               "LUKS2_SCRATCH does not suffice");

static bool is_magic(const uint8_t *p, uint64_t off)
{
    return memcmp(p, off == 0 ? "LUKS\xba\xbe" : "SKUL\xba\xbe", 6) == 0;
}

static uint16_t version_of(const uint8_t *p)
{
    return (uint16_t)(p[6] << 8 | p[7]);
}

/* Sizes that a header may have, which are also the places of the second copy: 16 KiB to 4 MiB, doubling. */
static bool is_size(uint64_t size)
{
    return size >= LUKS2_HDR_MIN && size <= LUKS2_HDR_MAX && (size & (size - 1)) == 0;
}

static enum err decode_copy(const uint8_t *p, uint64_t off, struct copy *ret)
{
    struct reader r;
    reader_init(&r, p, BIN_USED);
    reader_skip(&r, 8);
    struct copy c = {.off = off, .size = reader_u64be(&r), .seqid = reader_u64be(&r)};
    reader_seek(&r, 256);
    uint64_t stated = reader_u64be(&r);
    if (r.err != ERR_OK || !is_magic(p, off))
        return ERR_NOT_FOUND;
    if (version_of(p) != 2 || stated != off || !is_size(c.size) || (off != 0 && off != c.size))
        return ERR_FORMAT;
    *ret = c;
    return ERR_OK;
}

/* The name lies in 32 bytes, zero-terminated. */
static enum cr_hash checksum_hash(const uint8_t *p)
{
    static const struct {
        char name[8];
        enum cr_hash hash;
    } known[] = {{"sha256", CR_SHA256}, {"sha512", CR_SHA512}, {"sha1", CR_SHA1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(p + 72, known[i].name, strlen(known[i].name) + 1) == 0)
            return known[i].hash;
    return 0;
}

static enum err check_sum(uint8_t *hdr, size_t len)
{
    uint8_t want[CSUM_LEN], got[CR_HASH_MAX];
    enum cr_hash hash = checksum_hash(hdr);
    if (hash == 0)
        return ERR_FORMAT;
    memcpy(want, hdr + CSUM_OFF, CSUM_LEN);
    memset(hdr + CSUM_OFF, 0, CSUM_LEN);
    TRY(cr_hash_parts(hash, &(struct cr_part){hdr, len}, 1, got));
    return memcmp(want, got, cr_hash_size(hash)) == 0 ? ERR_OK : ERR_FORMAT;
}

/* Read one copy whole and check its sum; on success its bytes lie in room->hdr. */
static enum err read_copy(const struct volume_io *io, uint64_t off, struct room *room, struct copy *ret)
{
    struct copy c;
    if (room->hdr_cap < LUKS2_BIN_HDR)
        return ERR_FULL;
    TRY(io->read(io->ctx, off, room->hdr, LUKS2_BIN_HDR));
    TRY(decode_copy(room->hdr, off, &c));
    if (c.size > room->hdr_cap)
        return ERR_FULL;
    TRY(io->read(io->ctx, off + LUKS2_BIN_HDR, room->hdr + LUKS2_BIN_HDR, c.size - LUKS2_BIN_HDR));
    TRY(check_sum(room->hdr, c.size));
    c.good = true;
    *ret = c;
    return ERR_OK;
}

/* What to tell when no copy is good: the most telling of the failures. */
static void worse(enum err *worst, enum err e)
{
    if (e == ERR_OK || e == ERR_NOT_FOUND || e == ERR_TRUNCATED || *worst == ERR_FULL)
        return;
    if (*worst == ERR_NOT_FOUND || e == ERR_FULL || e == ERR_IO)
        *worst = e;
}

/* Find the good copies. A primary that is good says where the second lies; otherwise all places are tried. */
static enum err find_copies(const struct volume_io *io, struct room *room, struct copy *first,
                            struct copy *second)
{
    enum err worst = ERR_NOT_FOUND;
    worse(&worst, read_copy(io, 0, room, first));
    uint64_t from = first->good ? first->size : LUKS2_HDR_MIN, to = first->good ? first->size : LUKS2_HDR_MAX;
    for (uint64_t off = from; off <= to && !second->good; off *= 2) {
        enum err e = read_copy(io, off, room, second);
        worse(&worst, e);
    }
    return first->good || second->good ? ERR_OK : worst;
}

/* The JSON: text from '{' to '}' without white space around, then zeros to the end, at least one. */
static enum err json_length(const char *area, size_t len, size_t *ret)
{
    const char *zero = memchr(area, 0, len);
    if (zero == NULL || zero == area || area[0] != '{' || zero[-1] != '}')
        return ERR_FORMAT;
    for (const char *p = zero; p < area + len; p++)
        if (*p != 0)
            return ERR_FORMAT;
    *ret = (size_t)(zero - area);
    return ERR_OK;
}

/* Text of a fixed field, up to its zero byte. ret: cap bytes, zero-terminated */
static void field(const uint8_t *p, size_t len, char *ret, size_t cap)
{
    size_t n = 0;
    while (n < len && n + 1 < cap && p[n] != 0)
        n++;
    memcpy(ret, p, n);
    ret[n] = 0;
}

/* From bytes to struct, for the copy that lies in room->hdr. */
static enum err decode(const struct volume_io *io, const struct room *room, const struct copy *c)
{
    struct luks2 *l = room->l;
    const char *area = (const char *)room->hdr + LUKS2_BIN_HDR;
    size_t len;
    struct jw j;
    uint64_t end;
    TRY(json_length(area, c->size - LUKS2_BIN_HDR, &len));
    TRY(jw_parse(area, len, room->hdr + c->size, room->hdr_cap - c->size, &j));
    memset(l, 0, sizeof *l);
    l->seqid = c->seqid;
    l->hdr_size = (uint32_t)c->size;
    field(room->hdr + 24, 47, l->label, sizeof l->label);
    field(room->hdr + 168, 39, l->uuid_text, sizeof l->uuid_text);
    if (guid_decode(l->uuid_text, strlen(l->uuid_text), &l->uuid) != ERR_OK)
        memset(&l->uuid, 0, sizeof l->uuid); /* cryptsetup does not mind either */
    TRY(luks2_metadata_decode(&j, c->size, l, &end));
    /* A device that ends before its keyslots do was cut off. */
    uint8_t last[512];
    return io->read(io->ctx, end - sizeof last, last, sizeof last) == ERR_TRUNCATED ? ERR_FORMAT : ERR_OK;
}

/* The room holds one copy at a time, so the one that counts is read once more. */
static enum err load_copy(const struct volume_io *io, struct room *room, const struct copy *c)
{
    struct copy again;
    TRY(read_copy(io, c->off, room, &again));
    TRY(decode(io, room, &again));
    room->l->from_secondary = c->off != 0;
    return ERR_OK;
}

static enum err make_room(void *scratch, size_t len, struct room *ret)
{
    size_t skip = -(uintptr_t)scratch % 16, need = (sizeof(struct luks2) + 15) / 16 * 16;
    if (len < skip + need)
        return ERR_FULL;
    uint8_t *p = (uint8_t *)scratch + skip;
    *ret = (struct room){.l = (void *)p, .hdr = p + need, .hdr_cap = len - skip - need};
    return ERR_OK;
}

/* The higher sequence number counts; the other copy only where the JSON of that one is malformed. */
static enum err load(const struct volume_io *io, struct room *room)
{
    struct copy first = {0}, second = {0};
    TRY(find_copies(io, room, &first, &second));
    bool prefer_second = second.good && (!first.good || second.seqid > first.seqid);
    const struct copy *better = prefer_second ? &second : &first, *other = prefer_second ? &first : &second;
    enum err e = load_copy(io, room, better);
    return e == ERR_FORMAT && other->good ? load_copy(io, room, other) : e;
}

enum err luks2_probe(const struct volume_io *io, enum luks2_kind *ret)
{
    uint8_t p[512];
    struct copy c;
    enum err e = io->read(io->ctx, 0, p, sizeof p);
    if (e == ERR_OK && is_magic(p, 0) && (version_of(p) == 1 || version_of(p) == 2)) {
        *ret = version_of(p) == 1 ? LUKS2_IS_LUKS1 : LUKS2_IS_LUKS2;
        return ERR_OK;
    }
    for (uint64_t off = LUKS2_HDR_MIN; off <= LUKS2_HDR_MAX; off *= 2)
        if (io->read(io->ctx, off, p, sizeof p) == ERR_OK && decode_copy(p, off, &c) == ERR_OK) {
            *ret = LUKS2_IS_LUKS2;
            return ERR_OK;
        }
    if (e != ERR_OK && e != ERR_TRUNCATED)
        return e;
    *ret = LUKS2_NOT_LUKS;
    return ERR_OK;
}

enum err luks2_load(const struct volume_io *io, void *scratch, size_t scratch_len, struct luks2 *ret)
{
    struct room room;
    uint8_t start[8];
    if (io->read(io->ctx, 0, start, sizeof start) == ERR_OK && is_magic(start, 0) && version_of(start) == 1)
        return ERR_VERSION;
    TRY(make_room(scratch, scratch_len, &room));
    TRY(load(io, &room));
    *ret = *room.l;
    return ERR_OK;
}
