/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stands in for a boot loader that gives up: it says how much memory is free and comes
 * back to whoever started it. */
#include "efi/firmware.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

/* Pages that nobody uses. */
static uint64_t free_pages(void)
{
    UINTN len = 0, key, size;
    UINT32 version;
    uint64_t n = 0;
    fw.bs->GetMemoryMap(&len, NULL, &key, &size, &version);
    len += 16 * size; /* asking for memory makes the map longer */
    uint8_t *map = firmware_alloc(len);
    if (map && fw.bs->GetMemoryMap(&len, (EFI_MEMORY_DESCRIPTOR *)map, &key, &size, &version) == EFI_SUCCESS)
        for (UINTN off = 0; off < len; off += size) {
            const EFI_MEMORY_DESCRIPTOR *d = (const EFI_MEMORY_DESCRIPTOR *)(map + off);
            n += d->Type == EfiConventionalMemory ? d->NumberOfPages : 0;
        }
    firmware_free(map);
    return n;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    if (firmware_init(image, st) != ERR_OK)
        return EFI_LOAD_ERROR;
    CHAR16 text[] = L"LEAVES with 0000000 pages free\r\n";
    uint64_t n = free_pages();
    for (int i = 18; i > 11; i--, n /= 10)
        text[i] = (CHAR16)('0' + n % 10);
    st->ConOut->OutputString(st->ConOut, text);
    return EFI_SUCCESS;
}
