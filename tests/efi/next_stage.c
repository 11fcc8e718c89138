/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stands in for the operating system: prints the variables that the recovery app left, then switches off. */
#include "efi/firmware.h"
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

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    if (firmware_init(image, st) != ERR_OK)
        return EFI_LOAD_ERROR;
    put("\r\nNEXT STAGE\r\n");
    show(KH_VAR_PAD);
    show(KH_VAR_SHARE);
    show(KH_VAR_EVENT);
    show(KH_VAR_REASON);
    put("NEXT STAGE END\r\n");
    firmware_power_off();
}
