#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opened volumes as devices of the firmware: a read-only Block IO, so that its FAT driver, a shell or a boot
 * loader can read them. Gone, with its keys, when an operating system takes over. */

#include "efi/plain.h"
#include "formats/guid.h"

struct publish {
    EFI_BLOCK_IO io; /* first: what the firmware gives back to us */
    EFI_BLOCK_IO_MEDIA media;
    struct plain *plain;
    EFI_HANDLE handle;
    EFI_EVENT leaving;
    struct {
        VENDOR_DEVICE_PATH vendor;
        struct guid volume;
        EFI_DEVICE_PATH end;
    } __attribute__((packed)) path;
};

/* Take the plain volume over and offer it, and connect the firmware's drivers to it. The device path is one
 * vendor node: KH_EFI_GUID_INIT and the volume's ID. ret: to be handed to publish_end(); p is freed with it,
 * and on failure stays the caller's err: NOMEM, and what the firmware says */
MUST_CHECK enum err publish_start(struct plain *p, const struct guid *volume, struct publish **ret);
/* Takes NULL. */
void publish_end(struct publish *p);
/* Is this handle one of ours? */
bool publish_is_ours(EFI_HANDLE handle);
