#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an opened volume holds, by its first bytes. Pure: tested hosted. */

#include <stddef.h>
#include <stdint.h>

#define FILE_SYSTEM_HEAD 4096 /* bytes that decide */

enum file_system {
    FILE_SYSTEM_UNKNOWN = 1,
    FILE_SYSTEM_FAT,
    FILE_SYSTEM_EXFAT,
    FILE_SYSTEM_NTFS,
    FILE_SYSTEM_EXT,
    FILE_SYSTEM_LVM /* no file system, but a place for several */
};

/* head: the first bytes, at most FILE_SYSTEM_HEAD; fewer may decide less.
 * source: LVM2's label (in the second 512 bytes); boot sectors of FAT, exFAT and NTFS (names at bytes 3, 54,
 * 82); ext4's super block (at 1024, magic 0xef53 at 56 in it) */
enum file_system file_system_of(const uint8_t *head, size_t len);
/* "NTFS"; NULL for an unknown one. */
const char *file_system_name(enum file_system f);
