/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/partition.h"
#include <string.h>

#define TYPE_GPT 2

/* gnu-efi has no declaration of it; the table's entry starts with the partition's type. */
struct partition_info {
    UINT32 revision, type;
    UINT8 system, reserved[7];
    UINT8 entry[128];
} __attribute__((packed));

static const EFI_GUID info_guid = {
    0x8cf2f62c, 0xbc9b, 0x4821, {0x80, 0x8d, 0xec, 0x9e, 0xc4, 0x21, 0xa1, 0xa0}};

/* home, srv, var, swap */
static const EFI_GUID beside[] = {
    {0x933ac7e1, 0x2eb4, 0x4f13, {0xb8, 0x44, 0x0e, 0x14, 0xe2, 0xae, 0xf9, 0x15}},
    {0x3b8f8425, 0x20e0, 0x4f3b, {0x90, 0x7f, 0x1a, 0x25, 0xa7, 0x6f, 0x98, 0xe8}},
    {0x4d21b016, 0xb534, 0x45c2, {0xa9, 0xfb, 0x5c, 0x16, 0xe0, 0x91, 0xfd, 0x2d}},
    {0x0657fd6d, 0xa4ab, 0x43c4, {0x84, 0xe5, 0x09, 0x33, 0xc8, 0x4b, 0x4f, 0x4f}},
};

bool partition_is_beside(EFI_HANDLE device)
{
    const struct partition_info *p = firmware_protocol(device, &info_guid);
    if (!p || p->type != TYPE_GPT)
        return false;
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++)
        if (memcmp(p->entry, &beside[i], sizeof beside[i]) == 0)
            return true;
    return false;
}
