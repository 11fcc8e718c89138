/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/started.h"
#include "crypto/hash.h"
#include "efi/device_path.h"
#include "efi/files.h"
#include "efi/variables.h"
#include "formats/names.h"
#include <string.h>

#define PATH_MAX_LEN 128
#define APP_MAX      (4u << 20)

/* The file that we were loaded from: pool memory, NULL where it cannot be found. */
static char *own_file(size_t *ret_len)
{
    char path[PATH_MAX_LEN], *file;
    if (device_path_own_file(path, sizeof path) != ERR_OK ||
        files_read(fw.self->DeviceHandle, path, APP_MAX, &file, ret_len) != ERR_OK)
        return NULL;
    return file;
}

void started_tell(void)
{
    uint8_t hash[CR_SHA256_SIZE];
    size_t len;
    char *file = own_file(&len);
    if (file && cr_sha256(file, len, hash) == ERR_OK)
        variables_tell_app(hash);
    firmware_free(file);
}

bool started_is_copy(EFI_HANDLE device, const char *path)
{
    size_t len = 0, other_len = 0;
    char *other = NULL;
    if (files_read(device, path, APP_MAX, &other, &other_len) != ERR_OK)
        return false;
    char *own = own_file(&len);
    bool same = own && len == other_len && memcmp(own, other, len) == 0;
    firmware_free(own);
    firmware_free(other);
    return same;
}
