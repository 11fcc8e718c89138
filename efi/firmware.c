/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/firmware.h"
#include <efipciio.h>
#include <stdbool.h>
#include <string.h>

struct firmware fw;

#define PCI_CLASS_OFF         0x0b /* base class; subclass is one below. source: PCI 3.0, 6.2.1 */
#define PCI_MASS_STORAGE      0x01
#define PCI_SYSTEM_PERIPHERAL 0x08
#define PCI_SUB_SD_HOST       0x05
#define PCI_SERIAL_BUS        0x0c
#define PCI_SUB_USB           0x03

#define CALIBRATION_US 5000

enum err firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
    static EFI_GUID loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    void *self = NULL;
    fw.started = firmware_ticks();
    fw.image = image;
    fw.st = st;
    fw.bs = st->BootServices;
    fw.rt = st->RuntimeServices;
    fw.bs->SetWatchdogTimer(0, 0, 0, NULL);
    EFI_STATUS s = fw.bs->HandleProtocol(image, &loaded_image, &self);
    if (s != EFI_SUCCESS)
        return err_from_efi(s);
    fw.self = self;
    return ERR_OK;
}

enum err err_from_efi(EFI_STATUS s)
{
    switch (s) {
    case EFI_SUCCESS:
        return ERR_OK;
    case EFI_OUT_OF_RESOURCES:
        return ERR_NOMEM;
    case EFI_NOT_FOUND:
    case EFI_NO_MEDIA:
        return ERR_NOT_FOUND;
    case EFI_ACCESS_DENIED:
    case EFI_SECURITY_VIOLATION:
    case EFI_WRITE_PROTECTED:
        return ERR_DENIED;
    case EFI_UNSUPPORTED:
        return ERR_UNSUPPORTED;
    case EFI_BUFFER_TOO_SMALL:
    case EFI_VOLUME_FULL:
        return ERR_FULL;
    case EFI_INVALID_PARAMETER:
    case EFI_BAD_BUFFER_SIZE:
        return ERR_RANGE;
    case EFI_LOAD_ERROR:
        return ERR_FORMAT;
    case EFI_TIMEOUT:
    case EFI_NO_RESPONSE:
        return ERR_TIMEOUT;
    case EFI_NOT_READY:
        return ERR_BUSY;
    default:
        return ERR_IO;
    }
}

void *firmware_alloc(size_t len)
{
    void *p = NULL;
    if (fw.bs->AllocatePool(EfiLoaderData, len ? len : 1, &p) != EFI_SUCCESS)
        return NULL;
    memset(p, 0, len);
    return p;
}

void firmware_free(void *p)
{
    if (p)
        fw.bs->FreePool(p);
}

/* Firmware declares the GUIDs it only reads as writable. */
static EFI_GUID writable(const EFI_GUID *g)
{
    return *g;
}

EFI_HANDLE *firmware_handles(const EFI_GUID *protocol, UINTN *ret_n)
{
    EFI_GUID g = writable(protocol);
    EFI_HANDLE *h = NULL;
    UINTN n = 0;
    if (fw.bs->LocateHandleBuffer(ByProtocol, &g, NULL, &n, &h) != EFI_SUCCESS) {
        n = 0;
        h = NULL;
    }
    *ret_n = n;
    return h;
}

void *firmware_protocol(EFI_HANDLE handle, const EFI_GUID *protocol)
{
    EFI_GUID g = writable(protocol);
    void *p = NULL;
    return fw.bs->HandleProtocol(handle, &g, &p) == EFI_SUCCESS ? p : NULL;
}

static bool may_hold_disks(EFI_PCI_IO_PROTOCOL *pci)
{
    UINT8 class[2] = {0, 0}; /* sub, base */
    if (pci->Pci.Read(pci, EfiPciIoWidthUint8, PCI_CLASS_OFF - 1, 2, class) != EFI_SUCCESS)
        return false;
    return class[1] == PCI_MASS_STORAGE ||
           (class[1] == PCI_SYSTEM_PERIPHERAL && class[0] == PCI_SUB_SD_HOST) ||
           (class[1] == PCI_SERIAL_BUS && class[0] == PCI_SUB_USB);
}

void firmware_connect_storage(void)
{
    static const EFI_GUID pci_io = EFI_PCI_IO_PROTOCOL_GUID;
    UINTN n;
    EFI_HANDLE *h = firmware_handles(&pci_io, &n);
    for (UINTN i = 0; i < n; i++) {
        EFI_PCI_IO_PROTOCOL *pci = firmware_protocol(h[i], &pci_io);
        if (pci && may_hold_disks(pci))
            fw.bs->ConnectController(h[i], NULL, NULL, TRUE);
    }
    firmware_free(h);
}

void firmware_connect_all(void)
{
    EFI_HANDLE *h = NULL;
    UINTN n = 0;
    if (fw.bs->LocateHandleBuffer(AllHandles, NULL, NULL, &n, &h) != EFI_SUCCESS)
        return;
    for (UINTN i = 0; i < n; i++)
        fw.bs->ConnectController(h[i], NULL, NULL, TRUE);
    firmware_free(h);
}

uint64_t firmware_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

uint64_t firmware_uptime_ms(void)
{
    static uint64_t ticks_per_ms;
    uint64_t now = firmware_ticks();
    if (ticks_per_ms == 0) {
        fw.bs->Stall(CALIBRATION_US);
        ticks_per_ms = (firmware_ticks() - now) / (CALIBRATION_US / 1000);
        now = firmware_ticks();
    }
    return ticks_per_ms ? (now - fw.started) / ticks_per_ms : 0;
}

/* Days since 1970-01-01 of a Gregorian date; years are counted from March so that leap days come last. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month > 2 ? year : year - 1;
    unsigned m = month > 2 ? month - 3 : month + 9;
    return 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

uint64_t firmware_time(void)
{
    EFI_TIME t;
    if (fw.rt->GetTime(&t, NULL) != EFI_SUCCESS || t.Year < 1970 || t.Month < 1 || t.Month > 12 ||
        t.Day < 1 || t.Day > 31 || t.Hour > 23 || t.Minute > 59 || t.Second > 59)
        return 0;
    uint64_t local =
        days_since_1970(t.Year, t.Month, t.Day) * 86400 + t.Hour * 3600u + t.Minute * 60u + t.Second;
    if (t.TimeZone == EFI_UNSPECIFIED_TIMEZONE || t.TimeZone < -1440 || t.TimeZone > 1440)
        return local;
    /* UEFI 2.10, 8.3: local time = UTC - TimeZone, in minutes */
    int64_t utc = (int64_t)local + (int64_t)t.TimeZone * 60;
    return utc > 0 ? (uint64_t)utc : 0;
}

void firmware_power_off(void)
{
    fw.rt->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
    for (;;)
        fw.bs->Stall(1000000);
}

void firmware_restart(void)
{
    fw.rt->ResetSystem(EfiResetCold, EFI_SUCCESS, 0, NULL);
    for (;;)
        fw.bs->Stall(1000000);
}
