/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stands in for the operating system: prints the variables and the volumes that the recovery app left,
 * then switches off. */
#include "efi/device_path.h"
#include "efi/files.h"
#include "efi/publish.h"
#include "formats/names.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static void put(const char *text)
{
    for (; *text; text++) {
        CHAR16 c[2] = {(unsigned char)*text, 0};
        fw.st->ConOut->OutputString(fw.st->ConOut, c);
    }
}

static void put_hex(uint64_t v, int digits)
{
    while (digits-- > 0) {
        char c[2] = {"0123456789abcdef"[v >> (4 * digits) & 15], '\0'};
        put(c);
    }
}

/* "NAME attributes=7 hex", 32 bytes to a line, or "NAME absent". */
static void show(const char *name)
{
    static EFI_GUID vendor = KH_EFI_GUID_INIT;
    CHAR16 wide[24] = {0};
    uint8_t data[128];
    UINTN len = sizeof data;
    UINT32 attributes = 0;
    for (int i = 0; name[i] && i < 23; i++)
        wide[i] = (unsigned char)name[i];
    put(name);
    if (fw.rt->GetVariable(wide, &vendor, &attributes, &len, data) != EFI_SUCCESS) {
        put(" absent\r\n");
        return;
    }
    put(" attributes=");
    put_hex(attributes, 1);
    for (UINTN i = 0; i < len; i++) {
        put(i % 32 == 0 ? "\r\n  " : "");
        put_hex(data[i], 2);
    }
    put("\r\n");
}

#define HEAD      128 /* bytes of a plain volume that are printed */
#define FILE_HEAD 24  /* and of each file in it */
#define FILE_MOST (1u << 20)

static void put_bytes(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put(i % 32 == 0 ? "\r\n  " : "");
        put_hex(p[i], 2);
    }
    put("\r\n");
}

/* "FILE name" and, of a file, "  HOLDS length first-bytes" as a driver of the firmware's reads it. */
static bool put_file(void *ctx, const struct files_entry *e)
{
    char path[FILES_PATH], *data = NULL;
    size_t len = 0;
    put("FILE ");
    put(e->name);
    put("\r\n");
    files_join("", e->name, path);
    if (e->folder || files_read(ctx, path, FILE_MOST, &data, &len) != ERR_OK)
        return true;
    put("HOLDS ");
    put_hex(len, 8);
    put(" ");
    for (size_t i = 0; i < len && i < FILE_HEAD; i++)
        put_hex((uint8_t)data[i], 2);
    put("\r\n");
    firmware_free(data);
    return true;
}

/* "PLAIN volume last-block write-status read-beyond-status bytes": what the app published, read as any
 * program of the firmware would, and the files in it when a driver knows the file system. */
static void show_plain(EFI_HANDLE handle)
{
    static const EFI_GUID block_io = EFI_BLOCK_IO_PROTOCOL_GUID;
    static uint8_t block[4096];
    const uint8_t *path = (const uint8_t *)device_path_of(handle);
    EFI_BLOCK_IO *bio = firmware_protocol(handle, &block_io);
    if (!bio || bio->Media->BlockSize > sizeof block)
        return;
    put("PLAIN ");
    for (int i = 0; i < 16; i++)
        put_hex(path[20 + i], 2);
    put(" last=");
    put_hex(bio->Media->LastBlock, 8);
    put(" size=");
    put_hex(bio->Media->BlockSize, 4);
    put(" write=");
    put_hex(bio->WriteBlocks(bio, bio->Media->MediaId, 0, bio->Media->BlockSize, block) & 0xff, 2);
    put(" beyond=");
    put_hex(
        bio->ReadBlocks(bio, bio->Media->MediaId, bio->Media->LastBlock + 1, bio->Media->BlockSize, block) &
            0xff,
        2);
    put(" end=");
    put_hex(bio->ReadBlocks(bio, bio->Media->MediaId, bio->Media->LastBlock, bio->Media->BlockSize, block) &
                0xff,
            2);
    put(" read=");
    put_hex(bio->ReadBlocks(bio, bio->Media->MediaId, 0, bio->Media->BlockSize, block) & 0xff, 2);
    put_bytes(block, HEAD);
    files_list(handle, "\\", put_file, handle);
}

static void show_plain_volumes(void)
{
    static const EFI_GUID block_io = EFI_BLOCK_IO_PROTOCOL_GUID;
    UINTN n;
    EFI_HANDLE *h = firmware_handles(&block_io, &n);
    for (UINTN i = 0; i < n; i++)
        if (publish_is_ours(h[i]))
            show_plain(h[i]);
    firmware_free(h);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    if (firmware_init(image, st) != ERR_OK)
        return EFI_LOAD_ERROR;
    put("\r\nNEXT STAGE\r\n");
    show(KH_VAR_PAD);
    show(KH_VAR_SHARE);
    show(KH_VAR_EVENT);
    show(KH_VAR_APP);
    show(KH_VAR_REASON);
    show_plain_volumes();
    put("NEXT STAGE END\r\n");
    firmware_power_off();
}
