/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/copy_stick.h"
#include "crypto/secret.h"
#include "efi/copy_name.h"
#include "efi/device_path.h"
#include "efi/disk.h"
#include "efi/file_system.h"
#include "efi/publish.h"

#define INFO_MAX 512
#define PATH_MAX 4096u

static EFI_GUID file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID, volume_info = EFI_FILE_SYSTEM_INFO_ID;

/* By USB in any of its forms. source: UEFI 2.10, 10.3.4 */
static bool is_usb(EFI_HANDLE device)
{
    const EFI_DEVICE_PATH *p = device_path_of(device);
    if (!p || device_path_len(p, PATH_MAX) == 0)
        return false;
    for (; !IsDevicePathEnd(p); p = NextDevicePathNode(p))
        if (p->Type == MESSAGING_DEVICE_PATH &&
            (p->SubType == MSG_USB_DP || p->SubType == MSG_USB_CLASS_DP || p->SubType == 0x10 /* USB WWID */))
            return true;
    return false;
}

/* The driver's word on room and name. */
static enum err ask(EFI_HANDLE device, struct copy_place *ret)
{
    static union {
        EFI_FILE_SYSTEM_INFO info;
        uint8_t bytes[INFO_MAX];
    } room;
    uint16_t label[COPY_LABEL];
    EFI_FILE_IO_INTERFACE *fs = firmware_protocol(device, &file_system);
    EFI_FILE_HANDLE root = NULL;
    UINTN len = sizeof room - sizeof(CHAR16);
    size_t n = 0;
    if (!fs)
        return ERR_NOT_FOUND;
    TRY(err_from_efi(fs->OpenVolume(fs, &root)));
    EFI_STATUS s = root->GetInfo(root, &volume_info, &len, &room);
    root->Close(root);
    TRY(err_from_efi(s));
    for (; n < COPY_LABEL - 1 && room.info.VolumeLabel[n]; n++)
        label[n] = room.info.VolumeLabel[n];
    label[n] = 0;
    copy_name_utf8(label, ret->label, sizeof ret->label);
    ret->locked = room.info.ReadOnly;
    ret->room = (struct copy_room){.free = room.info.FreeSpace, .cluster = room.info.BlockSize};
    return ERR_OK;
}

/* What the medium itself says: is it removable, and how large may a file be? */
static enum err look(EFI_HANDLE device, bool *ret_removable, struct copy_place *place)
{
    static uint8_t head[FILE_SYSTEM_HEAD];
    struct disk d;
    TRY(disk_open(&d, device));
    enum err e = d.size < sizeof head ? ERR_UNSUPPORTED : d.io.read(d.io.ctx, 0, head, sizeof head);
    *ret_removable = d.removable;
    disk_close(&d);
    TRY(e);
    place->room.file_max =
        file_system_of(head, sizeof head) == FILE_SYSTEM_FAT ? COPY_FAT_FILE_MAX : UINT64_MAX;
    return ERR_OK;
}

static bool is_stick(EFI_HANDLE device, struct copy_place *place)
{
    bool removable = false;
    if (publish_is_ours(device) || ask(device, place) != ERR_OK || look(device, &removable, place) != ERR_OK)
        return false;
    return removable || is_usb(device);
}

unsigned copy_sticks_find(struct copy_stick ret[static COPY_STICKS])
{
    UINTN n;
    unsigned found = 0;
    EFI_HANDLE *h = firmware_handles(&file_system, &n);
    for (UINTN i = 0; i < n && found < COPY_STICKS; i++)
        if (is_stick(h[i], &ret[found].place))
            ret[found++].device = h[i];
    firmware_free(h);
    return found;
}
