/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/publish.h"
#include "formats/names.h"
#include <string.h>

static EFI_GUID block_io = EFI_BLOCK_IO_PROTOCOL_GUID, device_path = EFI_DEVICE_PATH_PROTOCOL_GUID;
static const EFI_GUID ours = KH_EFI_GUID_INIT;

static EFI_STATUS EFIAPI reset(EFI_BLOCK_IO *io, BOOLEAN extended)
{
    (void)io;
    (void)extended;
    return EFI_SUCCESS;
}

/* source: UEFI 2.10, 13.9 */
static EFI_STATUS EFIAPI read_blocks(EFI_BLOCK_IO *io, UINT32 media_id, EFI_LBA lba, UINTN len, VOID *buf)
{
    struct publish *p = (struct publish *)io;
    if (media_id != p->media.MediaId)
        return EFI_MEDIA_CHANGED;
    if (len == 0)
        return EFI_SUCCESS;
    if (!buf)
        return EFI_INVALID_PARAMETER;
    if (len % p->media.BlockSize)
        return EFI_BAD_BUFFER_SIZE;
    UINTN n = len / p->media.BlockSize;
    if (lba > p->media.LastBlock || n - 1 > p->media.LastBlock - lba)
        return EFI_INVALID_PARAMETER;
    return plain_read(p->plain, lba * p->media.BlockSize, buf, len) == ERR_OK ? EFI_SUCCESS
                                                                              : EFI_DEVICE_ERROR;
}

static EFI_STATUS EFIAPI write_blocks(EFI_BLOCK_IO *io, UINT32 media_id, EFI_LBA lba, UINTN len, VOID *buf)
{
    (void)io;
    (void)media_id;
    (void)lba;
    (void)len;
    (void)buf;
    return EFI_WRITE_PROTECTED;
}

static EFI_STATUS EFIAPI flush_blocks(EFI_BLOCK_IO *io)
{
    (void)io;
    return EFI_SUCCESS;
}

/* An operating system takes over: it finds no key of ours in memory. */
static VOID EFIAPI forget(EFI_EVENT event, VOID *context)
{
    struct publish *p = context;
    (void)event;
    plain_wipe(p->plain);
}

static void describe(struct publish *p, const struct guid *volume)
{
    static const uint8_t end[4] = {END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, 4, 0};
    p->media = (EFI_BLOCK_IO_MEDIA){.MediaId = 1,
                                    .MediaPresent = TRUE,
                                    .LogicalPartition = TRUE, /* it is no place for a partition table */
                                    .ReadOnly = TRUE,
                                    .BlockSize = p->plain->block_size,
                                    .LastBlock = p->plain->size / p->plain->block_size - 1};
    p->io = (EFI_BLOCK_IO){.Revision = EFI_BLOCK_IO_INTERFACE_REVISION,
                           .Media = &p->media,
                           .Reset = reset,
                           .ReadBlocks = read_blocks,
                           .WriteBlocks = write_blocks,
                           .FlushBlocks = flush_blocks};
    p->path.vendor.Header.Type = HARDWARE_DEVICE_PATH;
    p->path.vendor.Header.SubType = HW_VENDOR_DP;
    p->path.vendor.Header.Length[0] = sizeof p->path.vendor + sizeof p->path.volume;
    p->path.vendor.Guid = ours;
    p->path.volume = *volume;
    memcpy(&p->path.end, end, sizeof end);
}

enum err publish_start(struct plain *plain, const struct guid *volume, struct publish **ret)
{
    if (plain->size < plain->block_size || plain->block_size == 0)
        return ERR_RANGE;
    struct publish *p = firmware_alloc(sizeof *p);
    if (!p)
        return ERR_NOMEM;
    p->plain = plain;
    describe(p, volume);
    EFI_STATUS s = fw.bs->CreateEvent(EVT_SIGNAL_EXIT_BOOT_SERVICES, TPL_CALLBACK, forget, p, &p->leaving);
    if (s == EFI_SUCCESS) {
        s = fw.bs->InstallMultipleProtocolInterfaces(&p->handle, &device_path, &p->path, &block_io, &p->io,
                                                     NULL);
        if (s != EFI_SUCCESS)
            fw.bs->CloseEvent(p->leaving);
    }
    if (s != EFI_SUCCESS) {
        firmware_free(p);
        return err_from_efi(s);
    }
    /* a file system that no driver here knows is no failure */
    fw.bs->ConnectController(p->handle, NULL, NULL, TRUE);
    *ret = p;
    return ERR_OK;
}

void publish_end(struct publish *p)
{
    if (!p)
        return;
    fw.bs->DisconnectController(p->handle, NULL, NULL);
    EFI_STATUS s = fw.bs->UninstallMultipleProtocolInterfaces(p->handle, &device_path, &p->path, &block_io,
                                                              &p->io, NULL);
    plain_wipe(p->plain);
    /* what somebody still holds must stay in memory, and answers with errors */
    if (s != EFI_SUCCESS)
        return;
    fw.bs->CloseEvent(p->leaving);
    plain_free(p->plain);
    firmware_free(p);
}

bool publish_is_ours(EFI_HANDLE handle)
{
    const VENDOR_DEVICE_PATH *v = firmware_protocol(handle, &device_path);
    return v && v->Header.Type == HARDWARE_DEVICE_PATH && v->Header.SubType == HW_VENDOR_DP &&
           memcmp(&v->Guid, &ours, sizeof ours) == 0;
}
