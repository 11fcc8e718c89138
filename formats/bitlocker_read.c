/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decrypted volume: where its bytes lie, and how they become readable. */
#include "formats/bitlocker_format.h"
#include <string.h>

#define BATCH 32 /* sectors whose keys are made in one call */

/* A piece of the volume that comes from one place in one way. */
struct piece {
    enum bitlocker_extent kind;
    uint64_t src; /* byte offset on the disk */
    uint64_t len;
};

/* The first range of zeros that ends behind off; n_zeros when there is none. */
static unsigned next_zeros(const struct bitlocker_volume *v, uint64_t off)
{
    unsigned lo = 0, hi = v->n_zeros;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        if (v->zeros[mid].end > off)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Is what lies on the disk at src encrypted, and how far, below end? */
static enum err encrypted_at(const struct bitlocker_volume *v, uint64_t src, uint64_t end, struct piece *p)
{
    uint64_t limit = v->b->encrypted_size;
    p->src = src;
    p->len = end - src;
    if (v->n_maps > 0)
        return bitlocker_eow_extent(v, src, end, &p->kind, &p->len);
    p->kind = src < limit ? BITLOCKER_CIPHER : BITLOCKER_CLEAR;
    if (src < limit && end > limit)
        p->len = limit - src;
    return ERR_OK;
}

static enum err piece_at(const struct bitlocker_volume *v, uint64_t off, struct piece *ret)
{
    const struct bitlocker *b = v->b;
    unsigned z = next_zeros(v, off);
    uint64_t end = b->size;
    if (b->version == 1 && off < BITLOCKER_VISTA_CLEAR) {
        end = BITLOCKER_VISTA_CLEAR < end ? BITLOCKER_VISTA_CLEAR : end;
        *ret = (struct piece){BITLOCKER_CLEAR, off, end - off};
        return ERR_OK;
    }
    if (off < b->header_len)
        return encrypted_at(v, b->header_off + off, b->header_off + b->header_len, ret);
    if (z < v->n_zeros && v->zeros[z].off <= off) {
        *ret = (struct piece){BITLOCKER_ZEROS, off, v->zeros[z].end - off};
        return ERR_OK;
    }
    if (z < v->n_zeros)
        end = v->zeros[z].off;
    return encrypted_at(v, off, end, ret);
}

enum err bitlocker_extent_at(const struct bitlocker_volume *v, uint64_t off, enum bitlocker_extent *ret_kind,
                             uint64_t *ret_len)
{
    struct piece p;
    if (v->b == NULL || off >= v->b->size || off % v->b->sector_size != 0)
        return ERR_RANGE;
    TRY(piece_at(v, off, &p));
    *ret_kind = p.kind;
    *ret_len = p.len;
    return ERR_OK;
}

/* Two keys of 16 bytes for each sector: the byte offset encrypted, and again with the top bit of its 16
 * bytes. */
static void lay_out_offsets(uint8_t *p, uint64_t off, size_t size, size_t n)
{
    memset(p, 0, 32 * n);
    for (size_t i = 0; i < n; i++, p += 32, off += size) {
        for (unsigned k = 0; k < 8; k++)
            p[k] = p[16 + k] = (uint8_t)(off >> 8 * k);
        p[31] = 0x80;
    }
}

static enum err undo_elephant(const struct bitlocker_volume *v, uint64_t src, uint8_t *buf, size_t len)
{
    uint8_t keys[32 * BATCH];
    size_t size = v->b->sector_size;
    enum err e = ERR_OK;
    for (size_t at = 0; at < len && e == ERR_OK;) {
        size_t n = (len - at) / size < BATCH ? (len - at) / size : BATCH;
        lay_out_offsets(keys, src + at, size, n);
        e = cr_ecb(CR_ENCRYPT, v->tweak_key, v->tweak_key_len, keys, keys, 32 * n);
        for (size_t i = 0; i < n && e == ERR_OK; i++, at += size)
            bitlocker_elephant_decrypt(buf + at, size, keys + 32 * i);
    }
    cr_wipe(keys, sizeof keys);
    return e;
}

static enum err decrypt(struct bitlocker_volume *v, uint64_t src, uint8_t *buf, size_t len)
{
    TRY(cr_sectors_crypt(&v->sectors, CR_DECRYPT, src / v->b->sector_size, buf, len));
    return v->tweak_key_len == 0 ? ERR_OK : undo_elephant(v, src, buf, len);
}

static enum err read_disk(const struct bitlocker *b, uint64_t off, uint8_t *buf, size_t len)
{
    return b->io.read(b->io.ctx, off, buf, len) == ERR_OK ? ERR_OK : ERR_IO;
}

/* Vista's first sector is NTFS's but for two fields. */
static void mend_vista(const struct bitlocker *b, uint8_t *sector)
{
    memcpy(sector + 3, "NTFS    ", 8);
    for (unsigned k = 0; k < 8; k++)
        sector[56 + k] = (uint8_t)(b->mirror >> 8 * k);
}

/* Vista's last sector, NTFS's spare copy of the first, may be stored like the first: then it says so itself.
 */
static enum err mend_vista_spare(const struct bitlocker *b, uint8_t *sector)
{
    uint8_t raw[CR_SECTOR_MAX];
    TRY(read_disk(b, b->size - b->sector_size, raw, b->sector_size));
    if (memcmp(raw + 3, "-FVE-FS-", 8) == 0 && raw[510] == 0x55 && raw[511] == 0xaa) {
        memcpy(sector, raw, b->sector_size);
        mend_vista(b, sector);
    }
    return ERR_OK;
}

static enum err read_piece(struct bitlocker_volume *v, const struct piece *p, uint8_t *buf, size_t len)
{
    if (p->kind == BITLOCKER_ZEROS) {
        memset(buf, 0, len);
        return ERR_OK;
    }
    TRY(read_disk(v->b, p->src, buf, len));
    if (p->kind == BITLOCKER_CIPHER)
        return v->method == 0 ? ERR_IO : decrypt(v, p->src, buf, len);
    return ERR_OK;
}

enum err bitlocker_read(struct bitlocker_volume *v, uint64_t off, void *buf, size_t len)
{
    const struct bitlocker *b = v->b;
    uint8_t *to = buf;
    struct piece p;
    if (b == NULL || off > b->size || len > b->size - off || off % b->sector_size != 0 ||
        len % b->sector_size != 0)
        return ERR_RANGE;
    for (size_t done = 0, n; done < len; done += n) {
        TRY(piece_at(v, off + done, &p));
        n = p.len < len - done ? (size_t)p.len : len - done;
        TRY(read_piece(v, &p, to + done, n));
    }
    if (b->version == 1 && off == 0 && len > 0)
        mend_vista(b, to);
    if (b->version == 1 && len > 0 && off + len == b->size)
        return mend_vista_spare(b, to + len - b->sector_size);
    return ERR_OK;
}
