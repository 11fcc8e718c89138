#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* AES one message at a time: ECB for IVs and sector keys, CBC, CCM for BitLocker's key packages, GCM for
 * envelopes. Disk sectors, many at a time, are crypto/sectors.h. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

enum cr_dir { CR_DECRYPT = 1, CR_ENCRYPT = 2 };

#define CR_AES_BLOCK 16
#define CR_GCM_TAG   16
#define CR_GCM_IV    12
#define CR_CCM_TAG   16
#define CR_CCM_NONCE 12
#define CR_CCM_MAX   32768 /* BitLocker's are below 100 bytes */

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
 * 32. len and aad_len at most CR_CCM_MAX. ret_pt: len bytes, may be ct; zeroed on AUTH.
 * err:    AUTH, RANGE (len), UNSUPPORTED (key length), NOMEM
 * source: SP 800-38C */
MUST_CHECK enum err cr_ccm_open(const uint8_t *key, size_t key_len, const uint8_t nonce[static CR_CCM_NONCE],
                                const void *aad, size_t aad_len, const void *ct, size_t len,
                                const uint8_t tag[static CR_CCM_TAG], uint8_t *ret_pt);
/* Hosted only: tests make volumes with it. */
MUST_CHECK enum err cr_ccm_seal(const uint8_t *key, size_t key_len, const uint8_t nonce[static CR_CCM_NONCE],
                                const void *aad, size_t aad_len, const void *pt, size_t len, uint8_t *ret_ct,
                                uint8_t ret_tag[static CR_CCM_TAG]);

/* AES-GCM, 12-byte IV, 16-byte tag. key_len 16 or 32. ret_ct: len bytes.
 * source: SP 800-38D */
MUST_CHECK enum err cr_gcm_seal(const uint8_t *key, size_t key_len, const uint8_t iv[static CR_GCM_IV],
                                const void *aad, size_t aad_len, const void *pt, size_t len, uint8_t *ret_ct,
                                uint8_t ret_tag[static CR_GCM_TAG]);
/* ret_pt: len bytes, zeroed on AUTH. */
MUST_CHECK enum err cr_gcm_open(const uint8_t *key, size_t key_len, const uint8_t iv[static CR_GCM_IV],
                                const void *aad, size_t aad_len, const void *ct, size_t len,
                                const uint8_t tag[static CR_GCM_TAG], uint8_t *ret_pt);
