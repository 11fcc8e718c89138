/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/luks2_copy.h"
#include "crypto/cursor.h"
#include "formats/json_walk.h"
#include <string.h>

#define CSUM_OFF 448
#define CSUM_LEN 64
#define BIN_USED (CSUM_OFF + CSUM_LEN) /* the rest of the 4096 bytes is padding */
#define ALG_OFF  72
#define ALG_LEN  32
#define CHUNK    4096u
#define ALIGN    16u

static enum err fault(struct luks2_problem *why, uint64_t off, const char *what)
{
    *why = (struct luks2_problem){.what = what, .off = off};
    return ERR_FORMAT;
}

enum err luks2_room_init(void *scratch, size_t len, struct luks2_room *ret)
{
    size_t skip = -(uintptr_t)scratch % ALIGN, l = (sizeof(struct luks2) + ALIGN - 1) / ALIGN * ALIGN;
    size_t before = skip + l + LUKS2_BIN_HDR + CHUNK;
    if (len < before)
        return ERR_FULL;
    uint8_t *p = (uint8_t *)scratch + skip;
    *ret = (struct luks2_room){.l = (void *)p,
                               .bin = p + l,
                               .chunk = p + l + LUKS2_BIN_HDR,
                               .text = (char *)p + l + LUKS2_BIN_HDR + CHUNK,
                               .cap = len - before,
                               .before = before};
    return ERR_OK;
}

static size_t part_bytes(size_t zeros)
{
    return ALIGN + (2 + (zeros + CHUNK - 1) / CHUNK) * sizeof(struct cr_part);
}

/* Behind the text lie first the parts of the checksum, then the tokens. */
enum err luks2_room_need(const struct luks2_room *room, struct luks2_problem *why)
{
    size_t parts = part_bytes(LUKS2_HDR_MAX), tokens = JW_TOKENS(room->marks + 1);
    (void)fault(why, LUKS2_NO_OFF, "its header needs more memory than was set aside");
    why->need = room->before + room->text_len + CHUNK + (tokens > parts ? tokens : parts) + 2 * ALIGN;
    return ERR_FULL;
}

bool luks2_is_magic(const uint8_t *p, uint64_t off)
{
    return memcmp(p, off == 0 ? "LUKS\xba\xbe" : "SKUL\xba\xbe", 6) == 0;
}

uint16_t luks2_version(const uint8_t *p)
{
    return (uint16_t)(p[6] << 8 | p[7]);
}

enum err luks2_copy_decode(const uint8_t *p, uint64_t off, struct luks2_problem *why, struct luks2_copy *ret)
{
    struct reader r;
    reader_init(&r, p, BIN_USED);
    reader_skip(&r, 8);
    struct luks2_copy c = {.off = off, .size = reader_u64be(&r), .seqid = reader_u64be(&r)};
    reader_seek(&r, 256);
    uint64_t stated = reader_u64be(&r);
    if (r.err != ERR_OK || !luks2_is_magic(p, off)) {
        (void)fault(why, off, "there is no LUKS2 header");
        return ERR_NOT_FOUND;
    }
    if (luks2_version(p) != 2)
        return fault(why, off + 6, "the binary header has another version than 2");
    if (stated != off || (off != 0 && off != c.size))
        return fault(why, off + 256, "the binary header says that it lies elsewhere");
    if (c.size < LUKS2_HDR_MIN || c.size > LUKS2_HDR_MAX)
        return fault(why, off + 8, "the binary header states an impossible size");
    *ret = c;
    return ERR_OK;
}

enum err luks2_copy_peek(const struct volume_io *io, uint64_t off, struct luks2_problem *why,
                         struct luks2_copy *ret)
{
    uint8_t p[BIN_USED];
    enum err e = io->read(io->ctx, off, p, sizeof p);
    if (e != ERR_OK) {
        (void)fault(why, off, e == ERR_TRUNCATED ? "it ends before its header does" : "it cannot be read");
        return e;
    }
    return luks2_copy_decode(p, off, why, ret);
}

/* The name lies in 32 bytes, zero-terminated. */
static enum cr_hash checksum_hash(const uint8_t *p)
{
    static const struct {
        char name[8];
        enum cr_hash hash;
    } known[] = {{"sha256", CR_SHA256}, {"sha512", CR_SHA512}, {"sha1", CR_SHA1}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(p + ALG_OFF, known[i].name, strlen(known[i].name) + 1) == 0)
            return known[i].hash;
    return 0;
}

static enum err unknown_hash(const uint8_t *p, uint64_t off, struct luks2_problem *why)
{
    (void)fault(why, off + ALG_OFF, "its header is sealed with a hash that is not known here");
    for (size_t i = 0; i < ALG_LEN && p[ALG_OFF + i] != 0; i++) {
        uint8_t c = p[ALG_OFF + i];
        why->name[i] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    return ERR_UNSUPPORTED;
}

/* Checksum over binary header (checksum field zeroed), text and the zeros behind it. The list of parts lies
 * behind the text; the one chunk of zeros stands for all. */
static enum err check_sum(const struct luks2_room *room, const struct luks2_copy *c,
                          struct luks2_problem *why)
{
    uint8_t want[CSUM_LEN], got[CR_HASH_MAX];
    enum cr_hash hash = checksum_hash(room->bin);
    size_t zeros = (size_t)c->size - LUKS2_BIN_HDR - room->text_len, n = 2;
    if (hash == 0)
        return unknown_hash(room->bin, c->off, why);
    if (room->cap - room->text_len < part_bytes(zeros))
        return luks2_room_need(room, why);
    char *behind = room->text + room->text_len;
    struct cr_part *part = (void *)(behind + -(uintptr_t)behind % ALIGN);
    memcpy(want, room->bin + CSUM_OFF, CSUM_LEN);
    memset(room->bin + CSUM_OFF, 0, CSUM_LEN);
    memset(room->chunk, 0, CHUNK);
    part[0] = (struct cr_part){room->bin, LUKS2_BIN_HDR};
    part[1] = (struct cr_part){room->text, room->text_len};
    for (; zeros > 0; zeros -= part[n++].len)
        part[n] = (struct cr_part){room->chunk, zeros < CHUNK ? zeros : CHUNK};
    TRY(cr_hash_parts(hash, part, n, got));
    if (memcmp(want, got, cr_hash_size(hash)) != 0)
        return fault(why, c->off + CSUM_OFF, "the checksum of the header is wrong");
    return ERR_OK;
}

static bool is_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* Where reading of the JSON area stands. */
struct area {
    uint64_t off;    /* of the area on the device */
    size_t len, at;  /* bytes of it; read so far */
    size_t text_len; /* bytes before the first zero */
    bool ended;      /* that zero was seen */
};

/* Every value but the first comes behind one of these. */
static size_t count_marks(const uint8_t *p, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += p[i] == '{' || p[i] == '[' || p[i] == ',' || p[i] == ':';
    return n;
}

/* Next chunk, to where the text goes on while it does and there is room. */
static enum err read_chunk(const struct volume_io *io, struct luks2_room *room, struct area *a,
                           struct luks2_problem *why)
{
    size_t n = a->len - a->at < CHUNK ? a->len - a->at : CHUNK;
    bool fits = !a->ended && room->cap >= n && a->at <= room->cap - n;
    uint8_t *to = fits ? (uint8_t *)room->text + a->at : room->chunk;
    enum err e = io->read(io->ctx, a->off + a->at, to, n);
    if (e != ERR_OK) {
        (void)fault(why, a->off + a->at, "its header cannot be read to the end");
        return e;
    }
    const uint8_t *zero = a->ended ? to : memchr(to, 0, n);
    size_t before = zero == NULL ? n : (size_t)(zero - to);
    a->text_len += before;
    room->marks += count_marks(to, before);
    a->ended = zero != NULL;
    a->at += n;
    if (!is_zero(to + before, n - before))
        return fault(why, a->off + a->text_len, "something follows the JSON text");
    return ERR_OK;
}

/* The JSON area: text without white space before it, then zeros to the end, at least one. */
static enum err read_area(const struct volume_io *io, struct luks2_room *room, const struct luks2_copy *c,
                          struct luks2_problem *why)
{
    struct area a = {.off = c->off + LUKS2_BIN_HDR, .len = (size_t)c->size - LUKS2_BIN_HDR};
    room->marks = 0;
    while (a.at < a.len)
        TRY(read_chunk(io, room, &a, why));
    if (!a.ended)
        return fault(why, a.off, "no zero byte ends the JSON text");
    room->text_len = a.text_len;
    if (a.text_len > room->cap || (a.text_len + CHUNK - 1) / CHUNK * CHUNK > room->cap)
        return luks2_room_need(room, why);
    if (a.text_len == 0 || room->text[0] != '{')
        return fault(why, a.off, "the JSON text does not begin with a brace");
    return ERR_OK;
}

enum err luks2_copy_read(const struct volume_io *io, uint64_t off, struct luks2_room *room,
                         struct luks2_problem *why, struct luks2_copy *ret)
{
    struct luks2_copy c;
    enum err e = io->read(io->ctx, off, room->bin, LUKS2_BIN_HDR);
    if (e != ERR_OK) {
        (void)fault(why, off, e == ERR_TRUNCATED ? "it ends before its header does" : "it cannot be read");
        return e;
    }
    TRY(luks2_copy_decode(room->bin, off, why, &c));
    TRY(read_area(io, room, &c, why));
    TRY(check_sum(room, &c, why));
    *ret = c;
    return ERR_OK;
}
