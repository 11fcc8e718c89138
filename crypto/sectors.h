#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES over disk sectors, many at a time, with the key schedule kept between calls. */

#include "crypto/aes.h"

/* Cipher and how a sector's IV comes from its number, named as dm-crypt names them. */
enum cr_sectors_mode {
    CR_XTS_PLAIN64 = 1,      /* the number, 64 bits little-endian; also BitLocker's AES-XTS */
    CR_XTS_PLAIN = 2,        /* its low 32 bits */
    CR_CBC_PLAIN64 = 3,      /* the number, 64 bits little-endian */
    CR_CBC_PLAIN = 4,        /* its low 32 bits */
    CR_CBC_ESSIV_SHA256 = 5, /* the number encrypted under SHA-256(key) */
    CR_CBC_EBOIV = 6,        /* the byte offset encrypted under the key: BitLocker's AES-CBC */
};

#define CR_SECTOR_MIN 512
#define CR_SECTOR_MAX 4096

/* Room for the back end's key schedules, whichever back end it is. */
#define CR_SECTORS_KEYS 1280

/* Caller's memory, for one thread at a time; not to be copied or moved after init. */
struct cr_sectors {
    enum cr_sectors_mode mode;
    size_t sector_size, iv_unit; /* bytes */
    _Alignas(16) uint8_t keys[CR_SECTORS_KEYS];
};

/* Take in a key.
 * key:         XTS: 32 or 64 bytes (AES-128 or AES-256; both halves); CBC: 16 or 32; not kept
 * sector_size: 512, 1024, 2048 or 4096 bytes
 * iv_unit:     bytes that the IV number counts by: 512 (dm-crypt's default, whatever the sector size) or
 *              sector_size (dm-crypt's iv_large_sectors; BitLocker). EBOIV's byte offset is number × iv_unit
 * err:         RANGE (sizes), UNSUPPORTED (mode, key length), NOMEM
 * source:      IEEE 1619; Linux Documentation/admin-guide/device-mapper/dm-crypt.rst; docs/formats.md */
MUST_CHECK enum err cr_sectors_init(struct cr_sectors *s, enum cr_sectors_mode mode, const uint8_t *key,
                                    size_t key_len, size_t sector_size, size_t iv_unit);

/* Decrypt or encrypt whole sectors in place.
 * iv_number: of the first sector, in units of iv_unit; each sector advances it by sector_size / iv_unit
 * buf:       len bytes, a multiple of the sector size; any alignment
 * err:       RANGE (len; encrypting with equal XTS key halves; an EBOIV offset past 64 bits)
 * cost:      make bench; large batches are cheaper than single sectors */
MUST_CHECK enum err cr_sectors_crypt(struct cr_sectors *s, enum cr_dir dir, uint64_t iv_number, uint8_t *buf,
                                     size_t len);

/* AES-XTS of one data unit with a given 16-byte tweak, for vectors whose units are no sectors. len at least
 * 16; in and ret may be the same only when len is a multiple of 16 (mbedTLS 2.28 overwrites a partial block
 * before it has read it). err: RANGE (length, overlap; equal key halves when encrypting), UNSUPPORTED (key
 * length), NOMEM */
MUST_CHECK enum err cr_xts_unit(enum cr_dir dir, const uint8_t *key, size_t key_len,
                                const uint8_t tweak[static CR_AES_BLOCK], const uint8_t *in, uint8_t *ret,
                                size_t len);

/* Wipe and free the keys. Takes a zeroed struct, and one whose init failed. */
void cr_sectors_wipe(struct cr_sectors *s);
