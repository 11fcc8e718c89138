#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES in the two modes that Keyholt needs so far: XTS over disk sectors, GCM for envelopes. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

enum cr_dir { CR_DECRYPT = 1, CR_ENCRYPT = 2 };

#define CR_GCM_TAG 16
#define CR_GCM_IV  12

/* AES-XTS with dm-crypt's plain64 tweak, in place.
 * key:    32 or 64 bytes (AES-128 or AES-256; both halves)
 * sector: number of the first sector, in units of 512 bytes; a sector of 4096 advances the tweak by 8,
 *         as dm-crypt does without iv_large_sectors
 * buf:    len bytes, a multiple of sector_size (512, 1024, 2048 or 4096)
 * err:    RANGE (sizes; equal key halves when encrypting), UNSUPPORTED (key length)
 * source: IEEE 1619; docs/formats.md#luks2 */
MUST_CHECK enum err cr_xts_sectors(enum cr_dir dir, const uint8_t *key, size_t key_len, uint64_t sector,
                                   size_t sector_size, uint8_t *buf, size_t len);

/* AES-XTS of one data unit with a given 16-byte tweak. len at least 16; in and ret may be the same only when
 * len is a multiple of 16 (mbedTLS 2.28 overwrites a partial block before it has read it).
 * err: RANGE (length, overlap; equal key halves when encrypting), UNSUPPORTED (key length) */
MUST_CHECK enum err cr_xts_unit(enum cr_dir dir, const uint8_t *key, size_t key_len,
                                const uint8_t tweak[static 16], const uint8_t *in, uint8_t *ret, size_t len);

/* AES-GCM, 12-byte IV, 16-byte tag. key_len 16 or 32. ret_ct: len bytes.
 * source: SP 800-38D */
MUST_CHECK enum err cr_gcm_seal(const uint8_t *key, size_t key_len, const uint8_t iv[static CR_GCM_IV],
                                const void *aad, size_t aad_len, const void *pt, size_t len, uint8_t *ret_ct,
                                uint8_t ret_tag[static CR_GCM_TAG]);
/* ret_pt: len bytes, zeroed on AUTH. */
MUST_CHECK enum err cr_gcm_open(const uint8_t *key, size_t key_len, const uint8_t iv[static CR_GCM_IV],
                                const void *aad, size_t aad_len, const void *ct, size_t len,
                                const uint8_t tag[static CR_GCM_TAG], uint8_t *ret_pt);
