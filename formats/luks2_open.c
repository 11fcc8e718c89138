/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a passphrase to the volume key: derive a key, decrypt the area, merge the anti-forensic stripes,
 * compare the digest. source: LUKS2 On-Disk Format Specification 1.1.1, section 4; LUKS1 specification,
 * section 2.4 (AF)
 */
#include "crypto/argon2.h"
#include "crypto/sectors.h"
#include "formats/luks2_metadata.h"
#include <string.h>

#define SECTOR 512 /* unit of a keyslot area, whatever the data's sector size */

size_t luks2_area_len(const struct luks2_slot *s)
{
    size_t len = (size_t)LUKS2_STRIPES * s->key_size;
    return s->used && s->af_stripes == LUKS2_STRIPES && s->key_size <= LUKS2_KEY_MAX && len <= s->area_size
               ? len
               : 0;
}

/* H(number ‖ block) in place for each digest-sized block, the last one cut. */
static enum err af_diffuse(enum cr_hash hash, uint8_t *block, size_t len)
{
    size_t size = cr_hash_size(hash);
    uint8_t digest[CR_HASH_MAX];
    for (size_t off = 0, i = 0; off < len; off += size, i++) {
        size_t n = len - off < size ? len - off : size;
        const uint8_t number[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        const struct cr_part parts[] = {{number, sizeof number}, {block + off, n}};
        TRY(cr_hash_parts(hash, parts, 2, digest));
        memcpy(block + off, digest, n);
    }
    cr_wipe(digest, sizeof digest);
    return ERR_OK;
}

static enum err af_merge(const struct luks2_slot *s, const uint8_t *area, struct secret *key)
{
    size_t n = s->key_size;
    memset(key->bytes, 0, n);
    key->len = n;
    for (uint32_t stripe = 0; stripe < s->af_stripes; stripe++) {
        for (size_t i = 0; i < n; i++)
            key->bytes[i] ^= area[stripe * n + i];
        if (stripe + 1 < s->af_stripes)
            TRY(af_diffuse(s->af_hash, key->bytes, n));
    }
    return ERR_OK;
}

bool luks2_next_slot(const struct luks2 *l, int *slot)
{
    bool prefer = *slot < 0 || l->slot[*slot].priority == LUKS2_PREFER;
    for (int i = *slot + 1;; i++) {
        if (i == LUKS2_SLOTS) {
            if (!prefer)
                return false;
            prefer = false;
            i = 0;
        }
        const struct luks2_slot *s = &l->slot[i];
        if (s->supported && !s->unbound && s->priority == (prefer ? LUKS2_PREFER : LUKS2_NORMAL)) {
            *slot = i;
            return true;
        }
    }
}

static enum err derive(const struct luks2_slot *s, const void *passphrase, size_t len, struct secret *ret)
{
    ret->len = s->area_key_size;
    if (s->kdf != LUKS2_PBKDF2)
        return cr_argon2(s->kdf == LUKS2_ARGON2I ? CR_ARGON2I : CR_ARGON2ID, passphrase, len, s->salt,
                         s->salt_len, s->iterations, s->memory_kib, s->lanes, ret->bytes, ret->len);
    return cr_pbkdf2(s->hash, passphrase, len, s->salt, s->salt_len, s->iterations, ret->bytes, ret->len);
}

static enum err decrypt_area(const struct luks2_slot *s, const struct secret *key, uint8_t *area, size_t len)
{
    struct cr_sectors c;
    TRY(cr_sectors_init(&c, luks2_cipher_mode(s->cipher), key->bytes, key->len, SECTOR, SECTOR));
    enum err e = cr_sectors_crypt(&c, CR_DECRYPT, 0, area, len);
    cr_sectors_wipe(&c);
    return e;
}

static enum err read_key(const struct volume_io *io, const struct luks2_slot *s, const void *passphrase,
                         size_t passphrase_len, uint8_t *area, struct secret *key)
{
    SECRET(area_key);
    size_t len = luks2_area_len(s);
    TRY(io->read(io->ctx, s->area_off, area, len));
    TRY(derive(s, passphrase, passphrase_len, &area_key));
    TRY(decrypt_area(s, &area_key, area, len));
    return af_merge(s, area, key);
}

static enum err check_digest(const struct luks2_digest *d, const struct secret *key)
{
    uint8_t value[sizeof d->value];
    TRY(cr_pbkdf2(d->hash, key->bytes, key->len, d->salt, d->salt_len, d->iterations, value, d->value_len));
    return cr_equal(value, d->value, d->value_len) ? ERR_OK : ERR_AUTH;
}

enum err luks2_open_slot(const struct volume_io *io, const struct luks2 *l, unsigned slot,
                         const void *passphrase, size_t passphrase_len, uint8_t *area, size_t area_len,
                         struct secret *ret_key)
{
    if (slot >= LUKS2_SLOTS || !l->slot[slot].used)
        return ERR_NOT_FOUND;
    const struct luks2_slot *s = &l->slot[slot];
    if (!s->supported)
        return ERR_UNSUPPORTED;
    if (area_len < luks2_area_len(s))
        return ERR_FULL;
    SECRET(key);
    enum err e = read_key(io, s, passphrase, passphrase_len, area, &key);
    cr_wipe(area, luks2_area_len(s));
    if (e == ERR_OK)
        e = check_digest(&l->digest[s->digest], &key);
    if (e == ERR_OK)
        *ret_key = key;
    return e == ERR_TRUNCATED ? ERR_IO : e; /* the header was found to fit */
}
