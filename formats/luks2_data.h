#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plaintext device of a LUKS2 volume, as dm-crypt would show it: its segments one behind the other, each
 * decrypted with its volume key. Reads only; sectors go through the back end in batches.
 *
 *     struct luks2_data d;
 *     TRY(luks2_data_init(&l, &data_io, device_len, &why, &d));
 *     TRY(luks2_data_key(&d, slot, &key));            key as luks2_open_slot() gave it
 *     TRY(luks2_read(&d, 0, buf, d.sector_size));
 *     luks2_data_wipe(&d);
 *
 * source: LUKS2 On-Disk Format Specification 1.1.1, section 3.3; docs/formats.md#luks2 */

#include "crypto/sectors.h"
#include "formats/luks2.h"

#define LUKS2_DATA_KEYS 4 /* different volume keys, ciphers or sector sizes within one volume */

struct luks2_data {
    const struct luks2 *l; /* borrowed */
    struct volume_io io;   /* data device */
    uint64_t size;         /* bytes of the plaintext device */
    uint32_t sector_size;  /* reads are whole sectors of this size: the largest of the segments */
    uint64_t start[LUKS2_SEGMENTS + 1]; /* where each segment begins on the plaintext device; then size */
    struct cr_sectors cipher[LUKS2_DATA_KEYS];
    uint8_t cipher_of[LUKS2_SEGMENTS]; /* by segment: index in cipher[] */
    uint32_t ready;                    /* bit i: cipher[i] has its key */
    unsigned n_ciphers;
};

/* Lay out the segments. What is not there (size, place) is refused here, not when reading.
 * l:          borrowed until luks2_data_wipe()
 * data:       the device that holds the segments; for a detached header another one than the header's; copied
 * device_len: its length in bytes; a part of a sector at the end of a "dynamic" segment is left out
 * err: UNSUPPORTED (cipher, integrity, re-encryption under way; why names it), FORMAT (the device is too
 * short, no room for one sector) */
MUST_CHECK enum err luks2_data_init(const struct luks2 *l, const struct volume_io *data, uint64_t device_len,
                                    struct luks2_problem *why, struct luks2_data *ret);

/* Give it the volume key that a keyslot opened.
 * err: UNSUPPORTED (key length does not fit the cipher), NOT_FOUND (the slot's key is no segment's), NOMEM */
MUST_CHECK enum err luks2_data_key(struct luks2_data *d, unsigned slot, const struct secret *key);

/* Read and decrypt.
 * off, len: bytes of the plaintext device, multiples of sector_size, within size
 * err:      RANGE (off, len), NOT_FOUND (no key for a segment there), IO
 * cost:     one read of the data device and one pass of the back end for each segment touched */
MUST_CHECK enum err luks2_read(struct luks2_data *d, uint64_t off, void *buf, size_t len);

/* Also after luks2_data_init() failed. */
void luks2_data_wipe(struct luks2_data *d);
