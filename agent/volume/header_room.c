/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is there room for one more recovery keyslot and its token? Asked before anything is written. */
#include "agent/volume/header_lib.h"
#include "agent/volume/header_manage.h"
#include <string.h>

/* One PBKDF2 keyslot in the JSON is 296 bytes (measured), its number in the digest a few more. */
#define SLOT_JSON 320
/* Left free behind us: re-encryption adds a keyslot, a digest and segments. */
#define RESERVE 2048
/* A keyslot's key material: 4000 stripes, rounded up to 4096 as libcryptsetup does. */
#define AREA_ROUND 4096u
#define STRIPES    4000u

static enum err json_room(struct header *h, size_t need)
{
    struct volume_io io = header_io(h);
    size_t area = h->luks.hdr_size - LUKS2_BIN_HDR;
    if (h->scratch_len < area)
        return ERR_INTERNAL;
    enum err e = io.read(io.ctx, LUKS2_BIN_HDR, h->scratch, area);
    if (e != ERR_OK)
        return problem_set(h->why, e, "volume %s: its header cannot be read; nothing was changed", h->device);
    size_t used = strnlen((const char *)h->scratch, area);
    if (used + need + SLOT_JSON + RESERVE < area)
        return ERR_OK;
    return problem_set(h->why, ERR_FULL,
                       "volume %s: the LUKS2 metadata area is full (%zu of %zu bytes used, %u tokens, %u "
                       "keyslots); nothing was changed; remove tokens or keyslots that are no longer needed",
                       h->device, used, area, h->luks.n_tokens, h->luks.n_slots);
}

static bool token_wants(const struct header *h, int slot)
{
    struct header_management m[LUKS2_TOKENS];
    unsigned n = header_managements(h, m);
    for (unsigned i = 0; i < n; i++)
        if (m[i].m.slot == slot)
            return true;
    for (int i = 0; i < LUKS2_TOKENS; i++)
        if (h->luks.token[i].used && h->luks.token[i].slot == slot)
            return true;
    return false;
}

/* The lowest free number above 0 that no token of ours has been promised. Slot 0 is left to people: tools
 * and manuals take it for the first passphrase. */
static enum err free_number(struct header *h, unsigned *ret)
{
    for (int slot = 1; slot < LUKS2_SLOTS; slot++)
        if (!h->luks.slot[slot].used && !token_wants(h, slot)) {
            *ret = (unsigned)slot;
            return ERR_OK;
        }
    return problem_set(h->why, ERR_FULL,
                       "volume %s: no free keyslot (all %u are used); nothing was changed; remove a "
                       "passphrase that is no longer needed: cryptsetup luksRemoveKey %s",
                       h->device, h->luks.n_slots, h->device);
}

/* First gap of len bytes between the key material areas, as libcryptsetup looks for it. */
static bool area_gap(const struct header *h, uint64_t start, uint64_t end, uint64_t len)
{
    uint64_t at = start;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < LUKS2_SLOTS; i++) {
            const struct luks2_slot *s = &h->luks.slot[i];
            if (s->used && at < s->area_off + s->area_size && s->area_off < at + len) {
                at = s->area_off + s->area_size;
                moved = true;
            }
        }
    }
    return at + len <= end;
}

static enum err area_room(struct header *h)
{
    struct disk_sizes s;
    if (disk_ops.sizes(h->disk, &s) != ERR_OK)
        return ERR_INTERNAL;
    uint64_t len = ((uint64_t)s.volume_key * STRIPES + AREA_ROUND - 1) / AREA_ROUND * AREA_ROUND;
    if (area_gap(h, 2 * s.metadata, 2 * s.metadata + s.keyslots, len))
        return ERR_OK;
    return problem_set(h->why, ERR_FULL,
                       "volume %s: the keyslot area is full (%u keyslots in %llu KiB); nothing was changed; "
                       "remove a passphrase that is no longer needed: cryptsetup luksRemoveKey %s",
                       h->device, h->luks.n_slots, (unsigned long long)(s.keyslots >> 10), h->device);
}

enum err header_check_room(struct header *h, size_t n_bytes, unsigned *ret_slot)
{
    TRY(header_reload(h));
    if (h->luks.reencrypting)
        return problem_set(h->why, ERR_BUSY,
                           "volume %s: a re-encryption is not finished, and no keyslot can be added until it "
                           "is; nothing was changed; finish it: cryptsetup reencrypt --resume-only %s",
                           h->device, h->device);
    unsigned slot = 0;
    TRY(free_number(h, &slot));
    if (h->luks.n_tokens >= LUKS2_TOKENS)
        return problem_set(h->why, ERR_FULL,
                           "volume %s: the LUKS2 header has no free token (all %u are used); nothing was "
                           "changed; remove one: cryptsetup token remove --token-id N %s",
                           h->device, h->luks.n_tokens, h->device);
    TRY(json_room(h, n_bytes));
    TRY(area_room(h));
    *ret_slot = slot;
    return ERR_OK;
}
