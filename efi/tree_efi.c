/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/tree_efi.h"
#include <string.h>

#define INFO_MAX (sizeof(EFI_FILE_INFO) + TREE_NAME * sizeof(CHAR16))
#define PROBE    512 /* bytes that are read to see whether a medium answers */

static EFI_GUID file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID, file_info = EFI_FILE_INFO_ID,
                disk_io = EFI_DISK_IO_PROTOCOL_GUID;

static union {
    EFI_FILE_INFO info;
    uint8_t bytes[INFO_MAX];
} room; /* of one call; a firmware's stack is small */

static struct tree_node *node_of(EFI_FILE_HANDLE file)
{
    return (struct tree_node *)(void *)file;
}

static EFI_FILE_HANDLE file_of(struct tree_node *node)
{
    return (EFI_FILE_HANDLE)(void *)node;
}

/* No medium is no answer to whether there is such a file. */
static enum err err_of(EFI_STATUS s)
{
    return s == EFI_NO_MEDIA || s == EFI_MEDIA_CHANGED ? ERR_IO : err_from_efi(s);
}

static enum err open_root(const struct tree_efi *t, EFI_FILE_HANDLE *ret)
{
    EFI_FILE_IO_INTERFACE *fs = firmware_protocol(t->device, &file_system);
    return fs ? err_of(fs->OpenVolume(fs, ret)) : ERR_IO;
}

static enum err open_in(EFI_FILE_HANDLE folder, const uint16_t *name, enum tree_mode mode,
                        struct tree_node **ret)
{
    static CHAR16 path[4096]; /* longer than any that a walk makes */
    UINT64 how = EFI_FILE_MODE_READ, attributes = mode == TREE_NEW_FOLDER ? EFI_FILE_DIRECTORY : 0;
    EFI_FILE_HANDLE file = NULL;
    size_t n = 0;
    for (; name[n] && n < sizeof path / sizeof path[0] - 1; n++)
        path[n] = name[n];
    path[n] = 0;
    if (mode != TREE_READ)
        how |= EFI_FILE_MODE_WRITE;
    if (mode == TREE_NEW_FILE || mode == TREE_NEW_FOLDER)
        how |= EFI_FILE_MODE_CREATE;
    TRY(err_of(folder->Open(folder, &file, path, how, attributes)));
    *ret = node_of(file);
    return ERR_OK;
}

static enum err tree_open(void *ctx, struct tree_node *folder, const uint16_t *name, enum tree_mode mode,
                          struct tree_node **ret)
{
    EFI_FILE_HANDLE root;
    if (folder)
        return open_in(file_of(folder), name, mode, ret);
    TRY(open_root(ctx, &root));
    if (name[0] == 0) {
        *ret = node_of(root);
        return ERR_OK;
    }
    enum err e = open_in(root, name, mode, ret);
    root->Close(root);
    return e;
}

static enum err tree_next(struct tree_node *folder, struct tree_entry *ret)
{
    EFI_FILE_HANDLE f = file_of(folder);
    UINTN len = sizeof room;
    size_t n = 0;
    TRY(err_of(f->Read(f, &len, &room)));
    if (len == 0)
        return ERR_NOT_FOUND;
    for (; n < TREE_NAME - 1 && room.info.FileName[n]; n++)
        ret->name[n] = room.info.FileName[n];
    ret->name[n] = 0;
    ret->size = room.info.FileSize;
    ret->folder = room.info.Attribute & EFI_FILE_DIRECTORY;
    memcpy(ret->times, &room.info.CreateTime, sizeof ret->times); /* the other two follow it */
    return ERR_OK;
}

static enum err tree_read(struct tree_node *file, void *buf, size_t len, size_t *ret_len)
{
    EFI_FILE_HANDLE f = file_of(file);
    UINTN n = len;
    TRY(err_of(f->Read(f, &n, buf)));
    *ret_len = n;
    return ERR_OK;
}

static enum err tree_write(struct tree_node *file, const void *buf, size_t len)
{
    EFI_FILE_HANDLE f = file_of(file);
    UINTN n = len;
    union {
        const void *in;
        void *as_firmware_wants_it;
    } p = {.in = buf};
    TRY(err_of(f->Write(f, &n, p.as_firmware_wants_it)));
    return n == len ? ERR_OK : ERR_FULL;
}

static enum err tree_flush(struct tree_node *file)
{
    EFI_FILE_HANDLE f = file_of(file);
    return err_of(f->Flush(f));
}

/* A file system that cannot hold times has its own. */
static void tree_stamp(struct tree_node *file, const struct tree_entry *like)
{
    EFI_FILE_HANDLE f = file_of(file);
    UINTN len = sizeof room;
    if (f->GetInfo(f, &file_info, &len, &room) != EFI_SUCCESS)
        return;
    memcpy(&room.info.CreateTime, like->times, sizeof like->times);
    f->SetInfo(f, &file_info, len, &room);
}

static void tree_remove(struct tree_node *file)
{
    EFI_FILE_HANDLE f = file_of(file);
    f->Delete(f); /* closes in any case */
}

static void tree_close(struct tree_node *node)
{
    EFI_FILE_HANDLE f = file_of(node);
    f->Close(f);
}

/* The driver that reads the medium itself: the file system's. NULL where none says so. */
static EFI_HANDLE driver_of(EFI_HANDLE device)
{
    EFI_OPEN_PROTOCOL_INFORMATION_ENTRY *by = NULL;
    EFI_HANDLE driver = NULL;
    UINTN n = 0;
    if (fw.bs->OpenProtocolInformation(device, &disk_io, &by, &n) != EFI_SUCCESS)
        return NULL;
    for (UINTN i = 0; i < n && !driver; i++)
        if (by[i].Attributes & EFI_OPEN_PROTOCOL_BY_DRIVER)
            driver = by[i].AgentHandle;
    firmware_free(by);
    return driver;
}

/* A driver keeps what it wrote in memory; a new start of it has to read. */
static void tree_refresh(void *ctx)
{
    const struct tree_efi *t = ctx;
    EFI_HANDLE driver = driver_of(t->device);
    if (driver && fw.bs->DisconnectController(t->device, driver, NULL) == EFI_SUCCESS)
        fw.bs->ConnectController(t->device, NULL, NULL, FALSE);
}

/* Firmware learns of what was unplugged a second later: a reading knows at once. */
static bool tree_present(void *ctx)
{
    const struct tree_efi *t = ctx;
    uint8_t bytes[PROBE];
    t->medium->window_len = 0;
    return disk_is_there(t->medium) &&
           t->medium->io.read(t->medium->io.ctx, 0, bytes, sizeof bytes) == ERR_OK;
}

enum err tree_efi_init(struct tree_efi *t, EFI_HANDLE device, struct disk *medium, struct tree *ret)
{
    static const struct tree_ops ops = {.open = tree_open,
                                        .next = tree_next,
                                        .read = tree_read,
                                        .write = tree_write,
                                        .flush = tree_flush,
                                        .stamp = tree_stamp,
                                        .remove = tree_remove,
                                        .close = tree_close,
                                        .refresh = tree_refresh,
                                        .present = tree_present};
    if (!firmware_protocol(device, &file_system))
        return ERR_NOT_FOUND;
    *t = (struct tree_efi){.device = device, .medium = medium};
    *ret = (struct tree){.ops = &ops, .ctx = t};
    return ERR_OK;
}
