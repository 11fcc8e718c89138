/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/drivers.h"
#include "efi/device_path.h"
#include "efi/files.h"
#include "formats/names.h"

#define OURS "_x64.efi"

static EFI_STATUS start(const char *file)
{
    EFI_DEVICE_PATH *device = device_path_of(fw.self->DeviceHandle);
    EFI_DEVICE_PATH *path = device ? device_path_file(device, file) : NULL;
    EFI_HANDLE image = NULL;
    if (!path)
        return EFI_OUT_OF_RESOURCES;
    EFI_STATUS s = fw.bs->LoadImage(FALSE, fw.image, path, NULL, 0, &image);
    firmware_free(path);
    if (s == EFI_SUCCESS)
        return fw.bs->StartImage(image, NULL, NULL);
    /* refused by policy, yet loaded */
    if (s == EFI_SECURITY_VIOLATION && image)
        fw.bs->UnloadImage(image);
    return s;
}

static bool visit(void *ctx, const struct files_entry *e)
{
    struct drivers *d = ctx;
    char path[FILES_PATH];
    if (e->folder || !files_name_ends(e->name, OURS))
        return true;
    files_join(KH_ESP_DRIVERS, e->name, path);
    EFI_STATUS s = start(path);
    d->started += s == EFI_SUCCESS;
    d->refused += s == EFI_SECURITY_VIOLATION || s == EFI_ACCESS_DENIED;
    return true;
}

void drivers_start(struct drivers *d)
{
    if (d->looked)
        return;
    d->looked = true;
    files_list(fw.self->DeviceHandle, KH_ESP_DRIVERS, visit, d);
}
