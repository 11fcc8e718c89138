#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Device paths: walking them within bounds, and turning the short ones of boot entries into whole ones. */

#include "efi/firmware.h"
#include <stdbool.h>

/* Bytes of a path with its end node; 0 when it does not end within max bytes. */
size_t device_path_len(const EFI_DEVICE_PATH *p, size_t max);
/* The whole path of a device handle, or NULL. */
EFI_DEVICE_PATH *device_path_of(EFI_HANDLE handle);
/* Device and file joined, in pool memory; NULL without memory. file: absolute ASCII path */
EFI_DEVICE_PATH *device_path_file(const EFI_DEVICE_PATH *device, const char *file);

enum device_path_kind {
    DEVICE_PATH_FILE = 1, /* names a file */
    DEVICE_PATH_DEVICE,   /* ends at a device: its removable path is meant */
    DEVICE_PATH_FIRMWARE, /* a program inside the firmware */
    DEVICE_PATH_NETWORK
};
enum device_path_kind device_path_kind(const EFI_DEVICE_PATH *p);

/* Does it name a file below KH_ESP_DIR, that is, ourselves? */
bool device_path_is_ours(const EFI_DEVICE_PATH *p);

/* The file that we were loaded from, as ASCII with backslashes; several file nodes make one path.
 * err: NOT_FOUND (it came from no file, or has another name than can be written here), RANGE */
MUST_CHECK enum err device_path_own_file(char *ret, size_t cap);

/* Are both on one disk: the same path down to where partitions and files begin? False for short forms. */
bool device_path_same_disk(const EFI_DEVICE_PATH *a, const EFI_DEVICE_PATH *b);

/* Does the device lie on the disk that we were loaded from? */
bool device_path_on_own_disk(EFI_HANDLE device);

/* The disk's own path, in pool memory; NULL for short forms and without memory. */
EFI_DEVICE_PATH *device_path_disk(const EFI_DEVICE_PATH *p);

/* A path of HD(…)/File, as boot entries have it, with the partition's whole path in front; other paths are
 * copied. Pool memory; NULL when the partition is not here.
 * disk: of several partitions with one signature, as clones have, take the one on the disk of this path; NULL
 *       takes the first */
EFI_DEVICE_PATH *device_path_expand(const EFI_DEVICE_PATH *p, const EFI_DEVICE_PATH *disk);

/* The file system handle at or below a device that has this file, whose path begins with p; NULL when none.
 */
EFI_HANDLE device_path_find_file(const EFI_DEVICE_PATH *p, const char *file);
