/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/header.h"
#include "agent/volume/header_lib.h"
#include "crypto/cursor.h"
#include "crypto/hash.h"
#include <stdlib.h>
#include <string.h>

/* Both kinds of refusal end with it, because it is the first thing that a person wants to know. */
#define UNCHANGED "nothing was changed"

/* libcryptsetup's, for every keyslot. source: cryptsetup lib/luks2/luks2_internal.h */
#define SALT_LEN 32

/* The binary header as far as its checksum, which each write changes. source: LUKS2 specification,
 * section 2.1 */
#define HEAD_LEN 512
#define LOADS    10

static enum err read_at(void *ctx, uint64_t off, void *buf, size_t len)
{
    const struct header *h = ctx;
    return disk_ops.read(h->disk, off, buf, len);
}

struct volume_io header_io(struct header *h)
{
    return (struct volume_io){read_at, h};
}

static enum err probe(struct header *h)
{
    struct volume_io io = header_io(h);
    enum luks2_kind kind;
    enum err e = luks2_probe(&io, &kind);
    if (e != ERR_OK && e != ERR_TRUNCATED)
        return problem_set(h->why, e, "volume %s: it cannot be read: %s; " UNCHANGED, h->device, err_text(e));
    if (e == ERR_TRUNCATED || kind == LUKS2_NOT_LUKS)
        return problem_set(h->why, ERR_UNSUPPORTED,
                           "volume %s: it is not a LUKS2 volume; " UNCHANGED
                           "; name the encrypted partition itself, not the file system inside it",
                           h->device);
    if (kind == LUKS2_IS_LUKS1)
        return problem_set(h->why, ERR_UNSUPPORTED,
                           "volume %s: it is LUKS1, which has no place for a sealed password; " UNCHANGED
                           "; convert it while it is closed: cryptsetup convert %s --type luks2",
                           h->device, h->device);
    return ERR_OK;
}

/* By libcryptsetup and by us. */
static enum err load_both(struct header *h)
{
    struct volume_io io = header_io(h);
    enum err e = disk_ops.load(h->disk);
    if (e != ERR_OK)
        return problem_set(h->why, e, "volume %s: its LUKS2 header cannot be loaded (%s); " UNCHANGED,
                           h->device, disk_ops.reason());
    while ((e = luks2_load(&io, h->scratch, h->scratch_len, &h->luks)) == ERR_FULL &&
           h->scratch_len < LUKS2_SCRATCH(LUKS2_HDR_MAX)) {
        free(h->scratch);
        h->scratch = malloc(h->scratch_len *= 4);
        if (!h->scratch)
            return problem_set(h->why, ERR_NOMEM, "volume %s: not enough memory; " UNCHANGED, h->device);
    }
    if (e != ERR_OK)
        return problem_set(h->why, e, "volume %s: its LUKS2 header cannot be used: %s; " UNCHANGED, h->device,
                           err_text(e));
    return ERR_OK;
}

/* Both must have read the same one: what we know would be newer than what libcryptsetup writes, and its
 * refusal to do so would look like a failure where nobody else was there. */
static enum err load(struct header *h)
{
    uint8_t before[HEAD_LEN] = {0}, after[HEAD_LEN] = {0};
    enum err e = ERR_OK;
    for (int i = 0; i < LOADS; i++) {
        bool known = disk_ops.read(h->disk, 0, before, sizeof before) == ERR_OK;
        e = load_both(h);
        if (!known || disk_ops.read(h->disk, 0, after, sizeof after) != ERR_OK ||
            memcmp(before, after, sizeof before) == 0)
            break;
    }
    return e;
}

static enum err open_disk(struct header *h)
{
    enum err e = disk_ops.open(h->device, &h->disk);
    if (e != ERR_OK)
        return problem_set(h->why, e, "volume %s: %s; " UNCHANGED, h->device, disk_ops.reason());
    return ERR_OK;
}

enum err header_open(const char *device, struct problem *why, struct header **ret)
{
    struct header *h = calloc(1, sizeof *h);
    if (!h)
        return problem_set(why, ERR_NOMEM, "not enough memory; " UNCHANGED);
    h->why = why;
    enum err e = ERR_OK;
    if (strlen(device) >= sizeof h->device)
        e = problem_set(why, ERR_RANGE, "the path of the volume is too long; " UNCHANGED);
    else
        strcpy(h->device, device);
    h->scratch_len = LUKS2_SCRATCH(LUKS2_HDR_MIN) * 2;
    h->scratch = malloc(h->scratch_len);
    if (e == ERR_OK && !h->scratch)
        e = problem_set(why, ERR_NOMEM, "not enough memory; " UNCHANGED);
    if (e == ERR_OK)
        e = open_disk(h);
    if (e == ERR_OK)
        e = probe(h);
    if (e == ERR_OK)
        e = header_wait_lock(h);
    if (e == ERR_OK)
        e = load(h);
    if (e != ERR_OK) {
        header_close(h);
        return e;
    }
    *ret = h;
    return ERR_OK;
}

void header_close(struct header *h)
{
    if (!h)
        return;
    disk_ops.close(h->disk);
    free(h->scratch);
    free(h);
}

enum err header_reload(struct header *h)
{
    return load(h);
}

int header_find_token(const struct header *h, const struct guid *key_id)
{
    for (int t = 0; t < LUKS2_TOKENS; t++)
        if (h->luks.token[t].used && guid_equal(&h->luks.token[t].key_id, key_id))
            return t;
    return -1;
}

bool header_slot_fits(const struct header *h, int slot, uint32_t count)
{
    return count >= KH_PBKDF2_MIN && count <= KH_PBKDF2_MAX && header_slot_made(h, slot, count);
}

bool header_slot_made(const struct header *h, int slot, uint32_t count)
{
    if (slot <= 0 || slot >= LUKS2_SLOTS)
        return false;
    const struct luks2_slot *s = &h->luks.slot[slot];
    return s->used && s->supported && s->kdf == LUKS2_PBKDF2 && s->hash == CR_SHA256 &&
           s->iterations == count && s->salt_len == SALT_LEN && s->area_key_size == HEADER_AREA_KEY;
}

bool header_is_live(const struct header *h, const struct luks2_token *t)
{
    return t->used && t->state == LUKS2_TOKEN_LIVE && t->assigned && header_slot_fits(h, t->slot, t->count);
}

bool header_is_half_key(const struct header *h, int slot)
{
    if (!h->luks.reencrypting)
        return false;
    for (unsigned i = 0; i < h->luks.n_digests; i++)
        if (h->luks.digest[i].segments && (h->luks.digest[i].slots >> slot & 1) == 0)
            return true;
    return false;
}

unsigned header_count_live(const struct header *h)
{
    unsigned n = 0;
    for (int i = 0; i < LUKS2_TOKENS; i++)
        n += header_is_live(h, &h->luks.token[i]);
    return n;
}

bool header_is_unchanged(struct header *h, const struct luks2_token *t)
{
    uint8_t now[32];
    return t->used && t->assigned && t->has_fingerprint && header_slot_fits(h, t->slot, t->count) &&
           header_fingerprint(h, (unsigned)t->slot, now) == ERR_OK &&
           cr_equal(now, t->fingerprint, sizeof now);
}

bool header_is_proved(struct header *h, const struct luks2_token *t)
{
    return header_is_live(h, t) && header_is_unchanged(h, t);
}

enum err header_fingerprint(struct header *h, unsigned slot, uint8_t ret[static 32])
{
    struct volume_io io = header_io(h);
    if (slot >= LUKS2_SLOTS || !h->luks.slot[slot].used)
        return ERR_NOT_FOUND;
    size_t len = luks2_area_len(&h->luks.slot[slot]);
    uint8_t *area = malloc(len ? len : 1);
    if (!area)
        return ERR_NOMEM;
    enum err e = luks2_fingerprint(&io, &h->luks, slot, area, len, ret);
    free(area);
    return e;
}

enum err header_digest(const struct header *h, uint8_t ret[static 32])
{
    const struct luks2_digest *d = &h->luks.digest[0]; /* of the first crypt segment */
    uint8_t both[sizeof d->salt + sizeof d->value];
    struct writer w;
    size_t len;
    writer_init(&w, both, sizeof both);
    writer_bytes(&w, d->salt, d->salt_len);
    writer_bytes(&w, d->value, d->value_len);
    TRY(writer_end(&w, &len));
    return cr_sha256(both, len, ret);
}

static bool any_token(const struct luks2 *l)
{
    for (int t = 0; t < LUKS2_TOKENS; t++)
        if (l->token[t].used)
            return true;
    return false;
}

static struct problem unsaid; /* of a header that nobody changes; never read */

enum err header_peek(const char *device, struct header **ret)
{
    struct header *h = calloc(1, sizeof *h);
    if (!h)
        return ERR_NOMEM;
    h->why = &unsaid;
    h->scratch_len = LUKS2_SCRATCH(LUKS2_HDR_MIN) * 4;
    h->scratch = malloc(h->scratch_len);
    enum err e = !h->scratch ? ERR_NOMEM : strlen(device) >= sizeof h->device ? ERR_RANGE : ERR_OK;
    if (e == ERR_OK) {
        struct volume_io io = header_io(h);
        strcpy(h->device, device);
        e = open_disk(h);
        if (e == ERR_OK)
            e = luks2_load(&io, h->scratch, h->scratch_len, &h->luks);
    }
    if (e != ERR_OK) {
        header_close(h);
        return e;
    }
    *ret = h;
    return ERR_OK;
}

bool header_look(const char *device, struct guid *ret_uuid, bool *ret_token)
{
    struct header *h;
    if (header_peek(device, &h) != ERR_OK)
        return false;
    *ret_uuid = h->luks.uuid;
    *ret_token = any_token(&h->luks);
    header_close(h);
    return true;
}
