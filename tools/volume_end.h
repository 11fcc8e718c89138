#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Is the end of a decrypted volume missing? Neither format says it for sure (a LUKS2 segment may go "to the
 * end of the device", the metadata of a BitLocker volume keep their number when it is made smaller), but the
 * file system within knows how long it is. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

#define VOLUME_END_HEAD 4096 /* bytes from the start that are looked at */

/* How long a file system is by its own word: NTFS, exFAT, FAT, ext2 to ext4, XFS.
 * head:     the first len bytes; those of others than VOLUME_END_HEAD are FORMAT
 * ret_name: static
 * err:      NOT_FOUND (none of these), FORMAT (its numbers cannot be)
 * source:   Linux, include/linux/ and fs/: ntfs3/ntfs_fs.h, exfat/exfat_raw.h, uapi/linux/msdos_fs.h,
 * ext4/ext4.h, xfs/libxfs/xfs_format.h */
MUST_CHECK enum err volume_end_claimed(const uint8_t *head, size_t len, const char **ret_name,
                                       uint64_t *ret_size);
