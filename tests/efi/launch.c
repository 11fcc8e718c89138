/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starts the recovery app on a screen of 3840 × 2160 where there is that mode, which a firmware with such a
 * panel starts in and QEMU's does not; with a file \EFI\next\crowded, when all memory is taken but 8 MiB. */
#include "efi/device_path.h"
#include "efi/files.h"
#include "formats/names.h"

#define LEFT_PAGES  2048u /* 8 MiB */
#define CHUNK_PAGES 65536u

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

static uint64_t free_pages(void)
{
    static uint8_t map[65536];
    UINTN len = sizeof map, key, size;
    UINT32 version;
    uint64_t n = 0;
    if (fw.bs->GetMemoryMap(&len, (EFI_MEMORY_DESCRIPTOR *)map, &key, &size, &version) != EFI_SUCCESS)
        return 0;
    for (UINTN off = 0; off < len; off += size) {
        const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(map + off);
        n += d->Type == EfiConventionalMemory ? d->NumberOfPages : 0;
    }
    return n;
}

/* The largest pieces first, then smaller ones. */
static void take_memory(void)
{
    for (uint64_t chunk = CHUNK_PAGES; chunk > 0; chunk /= 2)
        for (;;) {
            EFI_PHYSICAL_ADDRESS at;
            if (free_pages() < LEFT_PAGES + chunk ||
                fw.bs->AllocatePages(AllocateAnyPages, EfiLoaderData, chunk, &at) != EFI_SUCCESS)
                break;
        }
}

static void set_mode(void)
{
    static const EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
    EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = firmware_protocol(fw.st->ConsoleOutHandle, &guid);
    for (UINT32 i = 0; gop && i < gop->Mode->MaxMode; i++) {
        EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *m = NULL;
        UINTN len;
        if (gop->QueryMode(gop, i, &len, &m) != EFI_SUCCESS)
            continue;
        bool wanted = m->HorizontalResolution == 3840 && m->VerticalResolution == 2160;
        firmware_free(m);
        if (wanted)
            gop->SetMode(gop, i);
    }
}

static void say_free_pages(void)
{
    CHAR16 text[] = L"CROWDED 0000000 pages free\r\n";
    uint64_t n = free_pages();
    for (int i = 14; i > 7; i--, n /= 10)
        text[i] = (CHAR16)('0' + n % 10);
    fw.st->ConOut->OutputString(fw.st->ConOut, text);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    EFI_HANDLE app = NULL;
    if (firmware_init(image, st) != ERR_OK)
        return EFI_LOAD_ERROR;
    EFI_DEVICE_PATH *path = device_path_file(device_path_of(fw.self->DeviceHandle), KH_ESP_APP);
    EFI_STATUS s = fw.bs->LoadImage(FALSE, image, path, NULL, 0, &app);
    if (s != EFI_SUCCESS)
        return s;
    set_mode();
    if (files_exist(fw.self->DeviceHandle, "\\EFI\\next\\crowded")) {
        take_memory();
        say_free_pages();
    }
    return fw.bs->StartImage(app, NULL, NULL);
}
