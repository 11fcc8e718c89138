#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An opened volume as the firmware can read it: decrypted, never written. */

#include "efi/disk.h"
#include "efi/file_system.h"
#include "formats/bitlocker.h"
#include "formats/luks2_data.h"
#include <stdbool.h>

/* In pool memory of its own: it holds keys, and the disk under it must outlive it. */
struct plain {
    struct disk *disk; /* borrowed */
    uint64_t size;     /* bytes */
    uint32_t block_size;
    bool wiped; /* its keys are gone: nothing can be read any more */
    enum file_system file_system;
    struct luks2_data luks;     /* one of the two */
    struct bitlocker bitlocker; /* with memory behind it */
    struct bitlocker_volume content;
    void *memory; /* NULL: it is LUKS2 */
};

/* From the volume key that a keyslot opened. l: borrowed
 * ret_why: half a sentence when it cannot be read here, static; NULL else
 * err: NOMEM, UNSUPPORTED and FORMAT (ret_why says it), IO */
MUST_CHECK enum err plain_of_luks2(struct disk *d, const struct luks2 *l, unsigned slot,
                                   const struct secret *key, const char **ret_why, struct plain **ret);
/* Load the metadata again, with memory to keep: then unlock, and plain_unlock_bitlocker(). */
MUST_CHECK enum err plain_of_bitlocker(struct disk *d, const char **ret_why, struct plain **ret);
MUST_CHECK enum err plain_unlock_bitlocker(struct plain *p, const struct secret *vmk, const char **ret_why);

/* off, len: bytes, multiples of block_size, within size. err: RANGE, IO */
MUST_CHECK enum err plain_read(struct plain *p, uint64_t off, void *buf, size_t len);
/* Look at the first bytes; fills file_system. err: IO */
MUST_CHECK enum err plain_look(struct plain *p);

/* Forget the keys; allocates and frees nothing, so that it may run when the firmware ends. */
void plain_wipe(struct plain *p);
/* Takes NULL. */
void plain_free(struct plain *p);
