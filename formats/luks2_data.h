#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plaintext device of a LUKS2 volume, as dm-crypt would show it: its segments one behind the other, each
 * decrypted with its volume key. Reads only; sectors go through the back end in batches.
 *
 *     struct luks2_data d;
 *     TRY(luks2_data_init(&l, &data_io, device_len, &why, &d));
 *     TRY(luks2_data_key(&d, slot, &key));            key as luks2_open_slot() gave it
 *     TRY(luks2_read(&d, 0, buf, len));
 *     luks2_data_wipe(&d);
 *
 * A volume under re-encryption that was stopped in good order has two volume keys: open a keyslot of each
 * (luks2_slot.digest) and give both; luks2_data_lacks_key() says when none is missing.
 * source: LUKS2 On-Disk Format Specification 1.1.1, section 3.3; docs/formats.md#luks2 */

#include "crypto/sectors.h"
#include "formats/luks2.h"

#define LUKS2_DATA_CIPHERS 4 /* different volume keys, ciphers or sector sizes within one volume */

/* About 5 KiB; not to be copied or moved after init. */
struct luks2_data {
    const struct luks2 *l; /* borrowed */
    struct volume_io io;   /* data device; its ctx is borrowed */
    uint64_t size;         /* bytes of the plaintext device */
    uint32_t sector_size;  /* bytes, the largest of the segments; what reads are best a multiple of */
    uint64_t start[LUKS2_SEGMENTS + 1]; /* where each segment begins on the plaintext device; then size */
    uint8_t cipher_of[LUKS2_SEGMENTS];  /* by segment: index in cipher[] */
    const struct luks2_segment *shape[LUKS2_DATA_CIPHERS]; /* a segment of that cipher */
    struct cr_sectors cipher[LUKS2_DATA_CIPHERS];
    uint32_t ready; /* bit i: cipher[i] has its key */
    unsigned n_ciphers;
};

/* Lay out the segments. What is not there (size, place) is refused here, not when reading.
 * l:          borrowed until luks2_data_wipe()
 * data:       the device that holds the segments; for a detached header another one than the header's
 * device_len: its length in bytes; a part of a sector at the end of a "dynamic" segment is left out
 * err: UNSUPPORTED (cipher, integrity, a re-encryption that was cut off; why names it), FORMAT (the device
 * ends before its data does) */
MUST_CHECK enum err luks2_data_init(const struct luks2 *l, const struct volume_io *data, uint64_t device_len,
                                    struct luks2_problem *why, struct luks2_data *ret);

/* Give it the volume key that a keyslot opened.
 * err: UNSUPPORTED (key length does not fit the cipher), NOT_FOUND (the slot's key is no segment's), NOMEM */
MUST_CHECK enum err luks2_data_key(struct luks2_data *d, unsigned slot, const struct secret *key);

/* Is there a segment whose key was not given? */
bool luks2_data_lacks_key(const struct luks2_data *d);

/* Read and decrypt any bytes of the plaintext device.
 * off, len: bytes, within size
 * err:      RANGE (beyond size), NOT_FOUND (no key for a segment there), IO; buf is wiped then
 * cost:     one read of the data device and one pass of the back end for each segment touched; one sector
 * more at each end that is not on a sector's border */
MUST_CHECK enum err luks2_read(struct luks2_data *d, uint64_t off, void *buf, size_t len);

/* Wipe the keys. Takes a zeroed struct, and one whose init failed. */
void luks2_data_wipe(struct luks2_data *d);
