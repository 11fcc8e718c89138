/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/cursor.h"
#include "formats/luks2.h"

#define LABEL "keyholt fingerprint v1" /* and its zero byte */

/* Everything before the area. */
static void write_slot(struct writer *w, const struct luks2_slot *s)
{
    writer_bytes(w, LABEL, sizeof LABEL);
    writer_u8(w, s->kdf);
    writer_u8(w, s->hash);
    writer_u32(w, s->iterations);
    writer_u32(w, s->memory_kib);
    writer_u32(w, s->lanes);
    writer_u32(w, s->salt_len);
    writer_bytes(w, s->salt, s->salt_len);
    writer_u8(w, s->af_hash);
    writer_u32(w, s->af_stripes);
    writer_u32(w, s->key_size);
    writer_u32(w, s->area_key_size);
}

static void write_digest(struct writer *w, const struct luks2_digest *d)
{
    writer_u8(w, d->hash);
    writer_u32(w, d->iterations);
    writer_u32(w, d->salt_len);
    writer_bytes(w, d->salt, d->salt_len);
    writer_u32(w, d->value_len);
    writer_bytes(w, d->value, d->value_len);
}

enum err luks2_fingerprint(const struct volume_io *io, const struct luks2 *l, unsigned slot, uint8_t *area,
                           size_t area_len, uint8_t ret[static 32])
{
    if (slot >= LUKS2_SLOTS || !l->slot[slot].used)
        return ERR_NOT_FOUND;
    const struct luks2_slot *s = &l->slot[slot];
    size_t len = luks2_area_len(s);
    /* Whatever its KDF: a slot of a kind that is not known here has none. */
    if (s->kdf == 0 || len == 0 || (l->digest[0].slots >> slot & 1) == 0)
        return ERR_UNSUPPORTED;
    if (area_len < len)
        return ERR_FULL;
    uint8_t before[160], after[160];
    struct writer b, a;
    size_t before_len, after_len;
    writer_init(&b, before, sizeof before);
    write_slot(&b, s);
    TRY(writer_end(&b, &before_len));
    writer_init(&a, after, sizeof after);
    write_digest(&a, &l->digest[0]);
    TRY(writer_end(&a, &after_len));
    enum err e = io->read(io->ctx, s->area_off, area, len);
    if (e != ERR_OK)
        return e == ERR_TRUNCATED ? ERR_IO : e;
    const struct cr_part parts[] = {{before, before_len}, {area, len}, {after, after_len}};
    return cr_hash_parts(CR_SHA256, parts, 3, ret);
}
