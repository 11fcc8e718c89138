/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/disk.h"
#include <string.h>

#define BLOCK_MIN 512u
#define BLOCK_MAX 4096u
#define ALIGN_MAX 4096u

static const EFI_GUID block_io = EFI_BLOCK_IO_PROTOCOL_GUID;

/* The firmware frees the interface of a device that is unplugged, so it is asked for it anew each time. */
static EFI_BLOCK_IO *interface(const struct disk *d)
{
    EFI_BLOCK_IO *bio = firmware_protocol(d->handle, &block_io);
    bool same = bio && bio == d->bio && bio->Media && bio->Media->MediaPresent &&
                bio->Media->MediaId == d->media_id && bio->Media->BlockSize == d->block_size;
    return same ? bio : NULL;
}

bool disk_is_there(const struct disk *d)
{
    return interface(d) != NULL;
}

static enum err read_blocks(struct disk *d, uint64_t lba, size_t len)
{
    EFI_BLOCK_IO *bio = interface(d);
    if (!bio)
        return ERR_IO;
    EFI_STATUS s = bio->ReadBlocks(bio, d->media_id, lba, len, d->window);
    return s == EFI_MEDIA_CHANGED || s == EFI_NO_MEDIA ? ERR_IO : err_from_efi(s);
}

static enum err make_window(struct disk *d)
{
    if (d->pages)
        return ERR_OK;
    d->pages = firmware_alloc(DISK_WINDOW + d->align);
    if (!d->pages)
        return ERR_NOMEM;
    d->window = (uint8_t *)d->pages + (d->align - (uintptr_t)d->pages % d->align) % d->align;
    d->window_len = 0;
    return ERR_OK;
}

/* Read the window that holds off: DISK_WINDOW bytes from a block boundary, fewer at the end of the disk. */
static enum err fill_window(struct disk *d, uint64_t off)
{
    uint64_t start = off - off % d->block_size;
    uint64_t left = d->size - start;
    size_t len = left < DISK_WINDOW ? (size_t)left : DISK_WINDOW;
    TRY(make_window(d));
    d->window_len = 0;
    /* unplugging is noticed by a timer event of this level: none between the question and the read */
    EFI_TPL before = fw.bs->RaiseTPL(TPL_CALLBACK);
    enum err e = read_blocks(d, start / d->block_size, len);
    fw.bs->RestoreTPL(before);
    TRY(e);
    d->window_off = start;
    d->window_len = len;
    return ERR_OK;
}

static enum err disk_read(void *ctx, uint64_t off, void *buf, size_t len)
{
    struct disk *d = ctx;
    uint8_t *to = buf;
    if (off > d->size || len > d->size - off)
        return ERR_TRUNCATED;
    while (len > 0) {
        if (d->window_len == 0 || off < d->window_off || off >= d->window_off + d->window_len)
            TRY(fill_window(d, off));
        size_t skip = (size_t)(off - d->window_off);
        size_t n = d->window_len - skip < len ? d->window_len - skip : len;
        memcpy(to, d->window + skip, n);
        to += n;
        off += n;
        len -= n;
    }
    return ERR_OK;
}

enum err disk_open(struct disk *d, EFI_HANDLE handle)
{
    EFI_BLOCK_IO *bio = firmware_protocol(handle, &block_io);
    const EFI_BLOCK_IO_MEDIA *m = bio ? bio->Media : NULL;
    uint64_t size;
    memset(d, 0, sizeof *d);
    if (!m || !m->MediaPresent)
        return ERR_NOT_FOUND;
    if (m->BlockSize < BLOCK_MIN || m->BlockSize > BLOCK_MAX || (m->BlockSize & (m->BlockSize - 1)))
        return ERR_UNSUPPORTED;
    size_t align = m->IoAlign > 1 ? m->IoAlign : 1;
    if (align > ALIGN_MAX || __builtin_mul_overflow(m->LastBlock + 1, (uint64_t)m->BlockSize, &size))
        return ERR_UNSUPPORTED;
    d->handle = handle;
    d->align = (uint32_t)align;
    d->removable = m->RemovableMedia;
    d->bio = bio;
    d->media_id = m->MediaId;
    d->block_size = m->BlockSize;
    d->size = size;
    d->io = (struct volume_io){.read = disk_read, .ctx = d};
    return ERR_OK;
}

void disk_rest(struct disk *d)
{
    firmware_free(d->pages);
    d->pages = NULL;
    d->window = NULL;
    d->window_len = 0;
}

void disk_close(struct disk *d)
{
    disk_rest(d);
    memset(d, 0, sizeof *d);
}
