#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small files on file systems that the firmware can read. */

#include "efi/firmware.h"
#include <stdbool.h>

/* Read a whole file from the device that was asked for, in pool memory that the caller frees; one zero byte
 * is added behind it. path: absolute, with backslashes, ASCII err:  NOT_FOUND, RANGE (longer than max),
 * NOMEM, IO */
MUST_CHECK enum err files_read(EFI_HANDLE device, const char *path, size_t max, char **ret, size_t *ret_len);

/* Every name in a folder that is ASCII and not hidden by a dot; false from visit ends it. Nothing where there
 * is no such folder; at most FILES_MAX names, so that no folder holds anybody up. */
#define FILES_MAX 256
struct files_entry {
    const char *name;
    bool folder;
};
void files_list(EFI_HANDLE device, const char *path, bool (*visit)(void *ctx, const struct files_entry *e),
                void *ctx);

/* Does a name end so, in any case? end: lower case */
bool files_name_ends(const char *name, const char *end);
/* "folder\name", cut at FILES_PATH - 1. */
#define FILES_PATH 128
void files_join(const char *folder, const char *name, char ret[static FILES_PATH]);

/* Is there such a file? */
bool files_exist(EFI_HANDLE device, const char *path);
