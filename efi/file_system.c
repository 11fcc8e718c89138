/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/file_system.h"
#include <string.h>

#define EXT_MAGIC_OFF 1080
#define LVM_OFF       512

static const struct {
    size_t off;
    const char *text;
    enum file_system f;
} mark[] = {
    {3, "NTFS    ", FILE_SYSTEM_NTFS},      {3, "EXFAT   ", FILE_SYSTEM_EXFAT},
    {82, "FAT32", FILE_SYSTEM_FAT},         {54, "FAT16", FILE_SYSTEM_FAT},
    {54, "FAT12", FILE_SYSTEM_FAT},         {EXT_MAGIC_OFF, "\x53\xef", FILE_SYSTEM_EXT},
    {LVM_OFF, "LABELONE", FILE_SYSTEM_LVM},
};

enum file_system file_system_of(const uint8_t *head, size_t len)
{
    for (size_t i = 0; i < sizeof mark / sizeof mark[0]; i++) {
        size_t n = strlen(mark[i].text);
        if (mark[i].off + n <= len && memcmp(head + mark[i].off, mark[i].text, n) == 0)
            return mark[i].f;
    }
    return FILE_SYSTEM_UNKNOWN;
}

const char *file_system_name(enum file_system f)
{
    switch (f) {
    case FILE_SYSTEM_FAT:
        return "FAT";
    case FILE_SYSTEM_EXFAT:
        return "exFAT";
    case FILE_SYSTEM_NTFS:
        return "NTFS";
    case FILE_SYSTEM_EXT:
        return "ext4";
    case FILE_SYSTEM_LVM:
        return "LVM";
    default:
        return NULL;
    }
}
