/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stands in for a boot loader that gives up: it comes back to whoever started it. */
#include "efi/firmware.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    if (firmware_init(image, st) != ERR_OK)
        return EFI_LOAD_ERROR;
    CHAR16 text[] = L"LEAVES\r\n";
    st->ConOut->OutputString(st->ConOut, text);
    return EFI_SUCCESS;
}
