#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES one message at a time: ECB for IVs and sector keys, CBC, CCM for BitLocker's key packages, GCM for
 * envelopes, XTS of one data unit. Disk sectors, many at a time, are crypto/sectors.h. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

enum cr_dir { CR_DECRYPT = 1, CR_ENCRYPT = 2 };

#define CR_AES_BLOCK 16
#define CR_GCM_TAG   16
#define CR_GCM_IV    12
#define CR_CCM_TAG   16
#define CR_CCM_NONCE 12

/* AES-ECB of whole blocks: for IVs and sector keys, never for data. key_len 16 or 32; in may be ret.
 * err: RANGE (len is no multiple of 16), UNSUPPORTED (key length), NOMEM */
MUST_CHECK enum err cr_ecb(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t *in,
                           uint8_t *ret, size_t len);

/* AES-CBC of whole blocks, no padding. key_len 16 or 32; in may be ret. err: as cr_ecb()
 * source: SP 800-38A */
MUST_CHECK enum err cr_cbc(enum cr_dir dir, const uint8_t *key, size_t key_len,
                           const uint8_t iv[static CR_AES_BLOCK], const uint8_t *in, uint8_t *ret,
                           size_t len);

/* AES-CCM as BitLocker uses it: 12-byte nonce, 16-byte tag (and no associated data: aad_len 0). key_len 16 or
 * 32. len at most CR_CCM_MAX, aad_len too. ret_pt: len bytes, may be ct; zeroed on AUTH.
 * err:    AUTH, RANGE (len), UNSUPPORTED (key length), NOMEM
 * source: SP 800-38C */
#define CR_CCM_MAX 65536
MUST_CHECK enum err cr_ccm_open(const uint8_t *key, size_t key_len, const uint8_t nonce[static CR_CCM_NONCE],
                                const void *aad, size_t aad_len, const void *ct, size_t len,
                                const uint8_t tag[static CR_CCM_TAG], uint8_t *ret_pt);
/* Hosted only: tests make volumes with it. */
MUST_CHECK enum err cr_ccm_seal(const uint8_t *key, size_t key_len, const uint8_t nonce[static CR_CCM_NONCE],
                                const void *aad, size_t aad_len, const void *pt, size_t len, uint8_t *ret_ct,
                                uint8_t ret_tag[static CR_CCM_TAG]);

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
