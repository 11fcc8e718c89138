#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Content and cryptography of the writer, for its own files. */

#include "tests/bitlocker/bitlocker_writer.h"

#define BW_MIRROR   0x1234  /* cluster of the MFT mirror that Vista puts away */
#define BW_REGION_1 0x7e000 /* where the second map of encrypt-on-write takes over */

uint32_t bw_crc32(const uint8_t *p, size_t len);
void bw_sha256(const void *p, size_t len, uint8_t ret[32]);
/* AES-256-CCM. ret: tag, then ciphertext, as they lie on the disk */
void bw_ccm_seal(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *plain, size_t len,
                 uint8_t *ret);
void bw_first_recovery(const uint8_t password[16], uint8_t ret[32]);
void bw_first_passphrase(const char *ascii, uint8_t ret[32]);
/* Remembers the last ones: tests make many volumes with the same passwords. */
void bw_stretch(const uint8_t first[32], const uint8_t salt[16], uint8_t ret[32]);

/* The volume key as it is sealed; its length. */
size_t bw_volume_key(uint16_t method, uint8_t ret[64]);
/* Is this chunk of a region not encrypted yet? */
bool bw_chunk_is_clear(uint64_t chunk);
/* Bytes of a map of encrypt-on-write. */
uint32_t bw_map_len(const struct bw_options *o);
/* A boot sector with this name of its maker. */
void bw_boot_sector(const struct bw_options *o, const char *name, uint8_t ret[512]);
/* The volume without its metadata. */
uint8_t *bw_encrypted(const struct bw_options *o);
