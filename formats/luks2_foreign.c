/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What else may lie where a LUKS2 header was. source: each format's published layout; libblkid knows many
 * more, these are those that common tools leave at the start of a disk without reaching 16 KiB. */
#include "formats/luks2_copy.h"
#include <string.h>

struct mark {
    uint32_t off;
    uint8_t len;
    const char *bytes, *name;
};

static const struct mark marks[] = {
    {0x000, 8, "LABELONE", "LVM2"},    {0x200, 8, "LABELONE", "LVM2"},        {0x400, 8, "LABELONE", "LVM2"},
    {0x600, 8, "LABELONE", "LVM2"},    {0x438, 2, "\x53\xef", "ext"},         {0x000, 4, "XFSB", "XFS"},
    {0x003, 8, "NTFS    ", "NTFS"},    {0x003, 8, "-FVE-FS-", "BitLocker"},   {0x036, 3, "FAT", "FAT"},
    {0x052, 5, "FAT32", "FAT"},        {0x003, 8, "EXFAT   ", "exFAT"},       {0x200, 8, "EFI PART", "GPT"},
    {0xff6, 10, "SWAPSPACE2", "swap"}, {0x000, 4, "\xfc\x4e\x2b\xa9", "RAID"}};

const char *luks2_foreign(const uint8_t *p)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (memcmp(p + marks[i].off, marks[i].bytes, marks[i].len) == 0)
            return marks[i].name;
    return NULL;
}
