/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which copy counts, and the walk from bytes to struct luks2. Which copies are looked at, and where, follows
 * cryptsetup 2.6, LUKS2_disk_hdr_read().
 * source: LUKS2 On-Disk Format Specification 1.1.1, section 2 */
#include "formats/json_grammar.h"
#include "formats/luks2_copy.h"
#include "formats/luks2_metadata.h"
#include <string.h>

_Static_assert(LUKS2_SCRATCH(LUKS2_HDR_MIN) >= sizeof(struct luks2) + 3 * LUKS2_BIN_HDR + LUKS2_HDR_MIN +
                                                   JW_SCRATCH(LUKS2_HDR_MIN - LUKS2_BIN_HDR),
               "LUKS2_SCRATCH does not suffice");
_Static_assert(LUKS2_SCRATCH_USUAL >= LUKS2_SCRATCH(LUKS2_HDR_MIN), "the usual header is one of 16 KiB");

/* What reading a header goes through. */
struct load {
    const struct volume_io *io;
    struct luks2_room room;
    struct luks2_problem *why;
    uint64_t areas_end;
};

/* Text of a fixed field, up to its zero byte. ret: cap bytes, zero-terminated */
static void field(const uint8_t *p, size_t len, char *ret, size_t cap)
{
    size_t n = 0;
    while (n < len && n + 1 < cap && p[n] != 0)
        n++;
    memcpy(ret, p, n);
    ret[n] = 0;
}

/* Sizes that a header may have, which are also the places of the second copy: 16 KiB to 4 MiB, doubling. */
static bool is_size(uint64_t size)
{
    return size >= LUKS2_HDR_MIN && size <= LUKS2_HDR_MAX && (size & (size - 1)) == 0;
}

static enum err parse(struct load *ld, uint64_t json_off, struct jw *ret)
{
    struct luks2_room *room = &ld->room;
    const char *text = room->text;
    size_t len = room->text_len;
    enum err e = jw_parse(text, len, room->text + len, room->cap - len, ret);
    if (e == ERR_FULL)
        return luks2_room_need(room, ld->why);
    if (e != ERR_OK)
        *ld->why = (struct luks2_problem){.what = "the header's text is not JSON, or nested too deep",
                                          .off = json_off + json_grammar_fault(text, len, JW_DEPTH)};
    return e;
}

/* From bytes to struct, for the copy that lies in the room. */
static enum err decode(struct load *ld, const struct luks2_copy *c)
{
    struct luks2 *l = ld->room.l;
    const uint8_t *bin = ld->room.bin;
    uint64_t json_off = c->off + LUKS2_BIN_HDR;
    struct jw j;
    struct luks2_metadata m = {.json = &j, .l = l, .why = ld->why, .json_off = json_off, .hdr_size = c->size};
    if (!is_size(c->size)) {
        *ld->why =
            (struct luks2_problem){.what = "the binary header states an impossible size", .off = c->off + 8};
        return ERR_FORMAT;
    }
    TRY(parse(ld, json_off, &j));
    memset(l, 0, sizeof *l);
    l->seqid = c->seqid;
    l->hdr_size = (uint32_t)c->size;
    l->json_len = (uint32_t)ld->room.text_len;
    l->from_secondary = c->off != 0;
    field(bin + 24, 47, l->label, sizeof l->label);
    field(bin + 168, 39, l->uuid_text, sizeof l->uuid_text);
    field(bin + 208, 47, l->subsystem, sizeof l->subsystem);
    if (guid_decode(l->uuid_text, strlen(l->uuid_text), &l->uuid) != ERR_OK)
        memset(&l->uuid, 0, sizeof l->uuid); /* cryptsetup does not mind either */
    return luks2_metadata_decode(&m, &ld->areas_end);
}

static enum err read_and_decode(struct load *ld, uint64_t off)
{
    struct luks2_copy c;
    TRY(luks2_copy_read(ld->io, off, &ld->room, ld->why, &c));
    return decode(ld, &c);
}

/* Is this copy out, so that another one may count? Not where it is in order but wants what is not known. */
static bool is_bad(enum err e)
{
    return e == ERR_FORMAT || e == ERR_NOT_FOUND || e == ERR_TRUNCATED || e == ERR_IO;
}

/* A disk that was given to something else may still hold a second copy of its old header. cryptsetup, too,
 * leaves it alone then, until a person says otherwise. */
static enum err check_foreign(struct load *ld)
{
    uint8_t *p = ld->room.chunk;
    if (ld->io->read(ld->io->ctx, 0, p, LUKS2_BIN_HDR) != ERR_OK)
        return ERR_OK;
    const char *name = luks2_foreign(p);
    if (name == NULL)
        return ERR_OK;
    *ld->why = (struct luks2_problem){
        .what =
            "its first header is gone and something else is written there; if it still is a LUKS2 volume, "
            "run cryptsetup repair",
        .off = 0};
    memcpy(ld->why->name, name, strlen(name) + 1);
    return ERR_FORMAT;
}

/* The first copy is damaged: the first good one of the second's places. Keeps the most telling failure. */
static enum err load_any_second(struct load *ld, enum err first)
{
    struct luks2_problem why = *ld->why;
    enum err worst = first;
    for (uint64_t off = LUKS2_HDR_MIN; off <= LUKS2_HDR_MAX; off *= 2) {
        struct luks2_copy c;
        enum err e = luks2_copy_read(ld->io, off, &ld->room, ld->why, &c);
        if (e == ERR_OK) {
            TRY(decode(ld, &c));
            return check_foreign(ld);
        }
        if (e == ERR_FULL)
            return e;
        if ((worst == ERR_NOT_FOUND || worst == ERR_TRUNCATED) && e != ERR_NOT_FOUND && e != ERR_TRUNCATED) {
            worst = e;
            why = *ld->why;
        }
    }
    *ld->why = why;
    return worst == ERR_TRUNCATED ? ERR_NOT_FOUND : worst;
}

/* The first copy lies in the room, its sum is right. The second counts when it is newer and in order, or when
 * the first one's JSON is not. */
static enum err load_better(struct load *ld, const struct luks2_copy *first)
{
    struct luks2_copy second;
    struct luks2_problem ignored, why;
    if (luks2_copy_peek(ld->io, first->size, &ignored, &second) == ERR_OK && second.seqid > first->seqid) {
        enum err e = read_and_decode(ld, second.off);
        return is_bad(e) ? read_and_decode(ld, first->off) : e;
    }
    enum err e = decode(ld, first);
    if (!is_bad(e))
        return e;
    why = *ld->why;
    enum err other = read_and_decode(ld, first->size);
    if (!is_bad(other))
        return other;
    *ld->why = why;
    return e;
}

/* A device that ends before its keyslots do was cut off. */
static enum err check_end(struct load *ld)
{
    uint8_t last[512];
    if (ld->io->read(ld->io->ctx, ld->areas_end - sizeof last, last, sizeof last) != ERR_TRUNCATED)
        return ERR_OK;
    *ld->why = (struct luks2_problem){.what = "it ends before its keyslots do", .off = ld->areas_end};
    return ERR_FORMAT;
}

static enum err load(struct load *ld)
{
    struct luks2_copy first;
    enum err e = luks2_copy_read(ld->io, 0, &ld->room, ld->why, &first);
    if (e == ERR_FULL)
        return e;
    TRY(e == ERR_OK ? load_better(ld, &first) : load_any_second(ld, e));
    return check_end(ld);
}

/* LUKS of another version is left to others, even where a second LUKS2 header is still there. */
static enum err check_version(const struct volume_io *io, struct luks2_problem *why)
{
    uint8_t start[8];
    if (io->read(io->ctx, 0, start, sizeof start) != ERR_OK || !luks2_is_magic(start, 0))
        return ERR_OK;
    uint16_t version = luks2_version(start);
    if (version == 0 || version == 2)
        return ERR_OK;
    *why = (struct luks2_problem){
        .what = version == 1
                    ? "it is LUKS1; convert it while it is closed: cryptsetup convert --type luks2 DEVICE"
                    : "it is LUKS of a version that is not known here",
        .off = 6};
    return ERR_VERSION;
}

enum err luks2_load_why(const struct volume_io *io, void *scratch, size_t scratch_len,
                        struct luks2_problem *why, struct luks2 *ret)
{
    struct luks2_problem ignored = {.what = ""}; /* of a copy that was passed over */
    struct load ld = {.io = io, .why = &ignored};
    TRY(check_version(io, why));
    enum err e = luks2_room_init(scratch, scratch_len, &ld.room);
    if (e == ERR_OK)
        e = load(&ld);
    else
        ignored = (struct luks2_problem){.what = "its header needs more memory than was set aside",
                                         .off = LUKS2_NO_OFF,
                                         .need = LUKS2_SCRATCH_USUAL};
    if (e == ERR_OK)
        *ret = *ld.room.l;
    else
        *why = ignored;
    return e;
}

enum err luks2_load(const struct volume_io *io, void *scratch, size_t scratch_len, struct luks2 *ret)
{
    struct luks2_problem ignored;
    return luks2_load_why(io, scratch, scratch_len, &ignored, ret);
}

enum err luks2_probe(const struct volume_io *io, enum luks2_kind *ret)
{
    uint8_t p[512];
    struct luks2_copy c;
    struct luks2_problem ignored;
    enum err e = io->read(io->ctx, 0, p, sizeof p);
    if (e == ERR_OK && luks2_is_magic(p, 0) && (luks2_version(p) == 1 || luks2_version(p) == 2)) {
        *ret = luks2_version(p) == 1 ? LUKS2_IS_LUKS1 : LUKS2_IS_LUKS2;
        return ERR_OK;
    }
    for (uint64_t off = LUKS2_HDR_MIN; off <= LUKS2_HDR_MAX; off *= 2)
        if (luks2_copy_peek(io, off, &ignored, &c) == ERR_OK) {
            *ret = LUKS2_IS_LUKS2;
            return ERR_OK;
        }
    if (e != ERR_OK && e != ERR_TRUNCATED)
        return e;
    *ret = LUKS2_NOT_LUKS;
    return ERR_OK;
}
