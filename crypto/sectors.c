/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "crypto/sectors_keys.h"
#include <string.h>

#define BATCH        32          /* sectors whose IVs are made at once */
#define XTS_UNIT_MAX (16u << 20) /* IEEE 1619: at most 2^20 blocks in one data unit */

static bool is_xts(enum cr_sectors_mode mode)
{
    return mode == CR_XTS_PLAIN64 || mode == CR_XTS_PLAIN;
}

static bool is_plain32(enum cr_sectors_mode mode)
{
    return mode == CR_XTS_PLAIN || mode == CR_CBC_PLAIN;
}

static bool encrypts_ivs(enum cr_sectors_mode mode)
{
    return mode == CR_CBC_ESSIV_SHA256 || mode == CR_CBC_EBOIV;
}

static enum err check(enum cr_sectors_mode mode, size_t key_len, size_t sector_size, size_t iv_unit)
{
    if (mode < CR_XTS_PLAIN64 || mode > CR_CBC_EBOIV)
        return ERR_UNSUPPORTED;
    if (is_xts(mode) ? key_len != 32 && key_len != 64 : key_len != 16 && key_len != 32)
        return ERR_UNSUPPORTED;
    if (sector_size < CR_SECTOR_MIN || sector_size > CR_SECTOR_MAX || (sector_size & (sector_size - 1)) != 0)
        return ERR_RANGE;
    return iv_unit == CR_SECTOR_MIN || iv_unit == sector_size ? ERR_OK : ERR_RANGE;
}

static enum err make_iv_key(enum cr_sectors_mode mode, const uint8_t *key, size_t key_len,
                            struct sectors_iv_key *ret)
{
    ret->len = 0;
    if (mode == CR_CBC_ESSIV_SHA256) {
        TRY(cr_sha256(key, key_len, ret->bytes));
        ret->len = CR_SHA256_SIZE;
    } else if (mode == CR_CBC_EBOIV) {
        memcpy(ret->bytes, key, key_len);
        ret->len = key_len;
    }
    return ERR_OK;
}

enum err cr_sectors_init(struct cr_sectors *s, enum cr_sectors_mode mode, const uint8_t *key, size_t key_len,
                         size_t sector_size, size_t iv_unit)
{
    struct sectors_iv_key iv_key;
    memset(s, 0, sizeof *s);
    TRY(check(mode, key_len, sector_size, iv_unit));
    s->mode = mode;
    s->sector_size = sector_size;
    s->iv_unit = iv_unit;
    enum err e = make_iv_key(mode, key, key_len, &iv_key);
    if (e == ERR_OK)
        e = sectors_keys_init(s, key, key_len, &iv_key);
    cr_wipe(&iv_key, sizeof iv_key);
    if (e != ERR_OK)
        cr_sectors_wipe(s);
    return e;
}

void cr_sectors_wipe(struct cr_sectors *s)
{
    sectors_keys_free(s);
    cr_wipe(s, sizeof *s);
}

/* The IVs of n sectors from number on, one behind the other. */
static enum err make_ivs(struct cr_sectors *s, uint64_t number, size_t n, uint8_t *ret)
{
    memset(ret, 0, n * CR_AES_BLOCK);
    for (size_t i = 0; i < n; i++) {
        uint64_t v = number + i * (s->sector_size / s->iv_unit);
        if (is_plain32(s->mode))
            v &= UINT32_MAX;
        if (s->mode == CR_CBC_EBOIV)
            v *= s->iv_unit; /* fits: check_offset() */
        for (size_t k = 0; k < 8; k++)
            ret[CR_AES_BLOCK * i + k] = (uint8_t)(v >> 8 * k);
    }
    return encrypts_ivs(s->mode) ? sectors_ivs(s, ret, n * CR_AES_BLOCK) : ERR_OK;
}

static void xor_block(uint8_t *to, const uint8_t *a, const uint8_t *b)
{
    for (size_t i = 0; i < CR_AES_BLOCK; i++)
        to[i] ^= a[i] ^ b[i];
}

/* Many sectors as one run: in CBC only a sector's first block knows its IV, so all are decrypted under the
 * block before, whatever that is, and the first blocks then get what they should have got. */
static enum err cbc_decrypt(struct cr_sectors *s, const uint8_t *ivs, uint8_t *buf, size_t n)
{
    uint8_t last[BATCH][CR_AES_BLOCK];
    for (size_t i = 0; i < n; i++)
        memcpy(last[i], buf + (i + 1) * s->sector_size - CR_AES_BLOCK, CR_AES_BLOCK);
    TRY(sectors_cbc(s, CR_DECRYPT, ivs, buf, n * s->sector_size));
    for (size_t i = 1; i < n; i++)
        xor_block(buf + i * s->sector_size, last[i - 1], ivs + CR_AES_BLOCK * i);
    return ERR_OK;
}

static enum err crypt_batch(struct cr_sectors *s, enum cr_dir dir, const uint8_t *ivs, uint8_t *buf, size_t n)
{
    if (!is_xts(s->mode) && dir == CR_DECRYPT)
        return cbc_decrypt(s, ivs, buf, n);
    for (size_t i = 0; i < n; i++, buf += s->sector_size, ivs += CR_AES_BLOCK)
        TRY(is_xts(s->mode) ? sectors_xts(s, dir, ivs, buf, buf, s->sector_size)
                            : sectors_cbc(s, dir, ivs, buf, s->sector_size));
    return ERR_OK;
}

/* EBOIV's byte offset, of the last sector too, fits in 64 bits. */
static enum err check_offset(const struct cr_sectors *s, uint64_t number, size_t len)
{
    uint64_t off;
    return s->mode == CR_CBC_EBOIV && (__builtin_mul_overflow(number, (uint64_t)s->iv_unit, &off) ||
                                       __builtin_add_overflow(off, len, &off))
               ? ERR_RANGE
               : ERR_OK;
}

enum err cr_sectors_crypt(struct cr_sectors *s, enum cr_dir dir, uint64_t iv_number, uint8_t *buf, size_t len)
{
    uint8_t ivs[BATCH * CR_AES_BLOCK];
    enum err e = ERR_OK;
    if (len % s->sector_size != 0)
        return ERR_RANGE;
    TRY(check_offset(s, iv_number, len));
    for (size_t left = len / s->sector_size; e == ERR_OK && left > 0;) {
        size_t n = left < BATCH ? left : BATCH;
        e = make_ivs(s, iv_number, n, ivs);
        if (e == ERR_OK)
            e = crypt_batch(s, dir, ivs, buf, n);
        iv_number += n * (s->sector_size / s->iv_unit);
        buf += n * s->sector_size;
        left -= n;
    }
    cr_wipe(ivs, sizeof ivs);
    return e;
}

enum err cr_xts_unit(enum cr_dir dir, const uint8_t *key, size_t key_len,
                     const uint8_t tweak[static CR_AES_BLOCK], const uint8_t *in, uint8_t *ret, size_t len)
{
    struct cr_sectors s;
    if (len < CR_AES_BLOCK || len > XTS_UNIT_MAX || (in == ret && len % CR_AES_BLOCK != 0))
        return key_len == 32 || key_len == 64 ? ERR_RANGE : ERR_UNSUPPORTED;
    TRY(cr_sectors_init(&s, CR_XTS_PLAIN64, key, key_len, CR_SECTOR_MIN, CR_SECTOR_MIN));
    enum err e = sectors_xts(&s, dir, tweak, in, ret, len);
    cr_sectors_wipe(&s);
    return e;
}
