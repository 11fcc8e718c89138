/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/luks2_data.h"
#include "formats/luks2_metadata.h"
#include <string.h>

#define SECTOR 512 /* unit of an IV number, whatever the sector size: LUKS2 does not use iv_large_sectors */

static enum err refuse(struct luks2_problem *why, enum err e, const char *what, const char *name)
{
    *why = (struct luks2_problem){.what = what, .off = LUKS2_NO_OFF};
    memcpy(why->name, name, strlen(name) + 1);
    return e;
}

static bool same_cipher(const struct luks2_segment *a, const struct luks2_segment *b)
{
    return a->digest == b->digest && a->cipher == b->cipher && a->sector_size == b->sector_size;
}

/* Place in cipher[] for a segment's cipher. */
static enum err find_cipher(struct luks2_data *d, unsigned i, struct luks2_problem *why)
{
    const struct luks2_segment *s = &d->l->segment[i];
    unsigned k = 0;
    while (k < d->n_ciphers && !same_cipher(d->shape[k], s))
        k++;
    if (k == LUKS2_DATA_CIPHERS)
        return refuse(why, ERR_UNSUPPORTED, "its data is encrypted in more ways than are kept here", "");
    d->shape[k] = s;
    d->n_ciphers += k == d->n_ciphers;
    d->cipher_of[i] = (uint8_t)k;
    return ERR_OK;
}

/* Size of a segment's data, bytes. */
static enum err segment_size(const struct luks2_segment *s, uint64_t device_len, struct luks2_problem *why,
                             uint64_t *ret)
{
    uint64_t left = s->off < device_len ? device_len - s->off : 0;
    uint64_t size = s->size == LUKS2_TO_END ? left - left % s->sector_size : s->size;
    if (size == 0 || size > left) {
        (void)refuse(why, ERR_FORMAT, "the device ends before its data does", "");
        why->off = s->off;
        return ERR_FORMAT;
    }
    *ret = size;
    return ERR_OK;
}

static enum err add_segment(struct luks2_data *d, unsigned i, uint64_t device_len, struct luks2_problem *why)
{
    const struct luks2_segment *s = &d->l->segment[i];
    uint64_t size;
    if (s->why_not != NULL)
        return refuse(why, ERR_UNSUPPORTED, s->why_not,
                      s->integrity[0] != 0 ? s->integrity
                      : s->crypt           ? s->cipher_name
                                           : s->type);
    TRY(segment_size(s, device_len, why, &size));
    if (s->crypt)
        TRY(find_cipher(d, i, why));
    /* none is longer than a disk can be (LUKS2_SEGMENTS of them stay below 2^64 only so) */
    if (__builtin_add_overflow(d->start[i], size, &d->start[i + 1]))
        return refuse(why, ERR_FORMAT, "its segments are longer than any disk", "");
    d->sector_size = s->sector_size > d->sector_size ? s->sector_size : d->sector_size;
    return ERR_OK;
}

enum err luks2_data_init(const struct luks2 *l, const struct volume_io *data, uint64_t device_len,
                         struct luks2_problem *why, struct luks2_data *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->l = l;
    ret->io = *data;
    if (l->reencrypting_offline)
        return refuse(why, ERR_UNSUPPORTED,
                      "an offline re-encryption is under way, and only its log says how far it came", "");
    for (unsigned i = 0; i < l->n_segments; i++)
        TRY(add_segment(ret, i, device_len, why));
    ret->size = ret->start[l->n_segments];
    return ERR_OK;
}

static enum err set_key(struct luks2_data *d, unsigned i, const struct secret *key)
{
    const struct luks2_segment *s = d->shape[i];
    if (!luks2_cipher_takes(s->cipher, (uint32_t)key->len))
        return ERR_UNSUPPORTED;
    if ((d->ready >> i & 1) != 0)
        cr_sectors_wipe(&d->cipher[i]);
    d->ready &= ~(UINT32_C(1) << i);
    TRY(cr_sectors_init(&d->cipher[i], luks2_cipher_mode(s->cipher), key->bytes, key->len, s->sector_size,
                        SECTOR));
    d->ready |= UINT32_C(1) << i;
    return ERR_OK;
}

enum err luks2_data_key(struct luks2_data *d, unsigned slot, const struct secret *key)
{
    bool found = false;
    if (slot >= LUKS2_SLOTS || !d->l->slot[slot].used)
        return ERR_NOT_FOUND;
    for (unsigned i = 0; i < d->n_ciphers; i++) {
        if (d->shape[i]->digest != d->l->slot[slot].digest)
            continue;
        TRY(set_key(d, i, key));
        found = true;
    }
    return found ? ERR_OK : ERR_NOT_FOUND;
}

bool luks2_data_lacks_key(const struct luks2_data *d)
{
    return d->ready != (UINT32_C(1) << d->n_ciphers) - 1;
}

/* Whole sectors of one encrypted segment; rel: bytes from its start. */
static enum err read_sectors(struct luks2_data *d, unsigned i, uint64_t rel, uint8_t *buf, size_t len)
{
    const struct luks2_segment *s = &d->l->segment[i];
    TRY(d->io.read(d->io.ctx, s->off + rel, buf, len));
    return cr_sectors_crypt(&d->cipher[d->cipher_of[i]], CR_DECRYPT, s->iv_offset + rel / SECTOR, buf, len);
}

/* len bytes that lie within one sector. */
static enum err read_part(struct luks2_data *d, unsigned i, uint64_t rel, uint8_t *buf, size_t len)
{
    uint8_t sector[CR_SECTOR_MAX];
    uint32_t size = d->l->segment[i].sector_size;
    enum err e = read_sectors(d, i, rel - rel % size, sector, size);
    if (e == ERR_OK)
        memcpy(buf, sector + rel % size, len);
    cr_wipe(sector, sizeof sector);
    return e;
}

/* As much of the range as one step takes: a part of a sector, or all whole ones. */
static enum err read_crypt(struct luks2_data *d, unsigned i, uint64_t rel, uint8_t *buf, size_t len,
                           size_t *ret_done)
{
    uint32_t size = d->l->segment[i].sector_size;
    size_t before = rel % size, rest = size - before;
    if ((d->ready >> d->cipher_of[i] & 1) == 0)
        return ERR_NOT_FOUND;
    bool part = before > 0 || len < size;
    size_t n = part ? (len < rest ? len : rest) : len - len % size;
    TRY(part ? read_part(d, i, rel, buf, n) : read_sectors(d, i, rel, buf, n));
    *ret_done = n;
    return ERR_OK;
}

static enum err read_some(struct luks2_data *d, uint64_t off, uint8_t *buf, size_t len, size_t *ret_done)
{
    unsigned i = 0;
    while (off >= d->start[i + 1])
        i++;
    uint64_t rel = off - d->start[i], left = d->start[i + 1] - off;
    size_t n = len < left ? len : (size_t)left;
    if (d->l->segment[i].crypt)
        return read_crypt(d, i, rel, buf, n, ret_done);
    TRY(d->io.read(d->io.ctx, d->l->segment[i].off + rel, buf, n));
    *ret_done = n;
    return ERR_OK;
}

enum err luks2_read(struct luks2_data *d, uint64_t off, void *buf, size_t len)
{
    if (off > d->size || len > d->size - off)
        return ERR_RANGE;
    for (size_t done = 0, n; done < len; done += n) {
        enum err e = read_some(d, off + done, (uint8_t *)buf + done, len - done, &n);
        if (e == ERR_OK)
            continue;
        cr_wipe(buf, len);
        return e == ERR_TRUNCATED ? ERR_IO : e; /* its length was known */
    }
    return ERR_OK;
}

void luks2_data_wipe(struct luks2_data *d)
{
    for (unsigned i = 0; i < LUKS2_DATA_CIPHERS; i++)
        cr_sectors_wipe(&d->cipher[i]);
    cr_wipe(d, sizeof *d);
}
