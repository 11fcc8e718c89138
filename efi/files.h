#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small files on file systems that the firmware can read. */

#include "efi/firmware.h"
#include <stdbool.h>

/* Read a whole file from the device that was asked for, in pool memory that the caller frees; one zero byte
 * is added behind it. path: absolute, with backslashes, ASCII err:  NOT_FOUND, RANGE (longer than max),
 * NOMEM, IO */
MUST_CHECK enum err files_read(EFI_HANDLE device, const char *path, size_t max, char **ret, size_t *ret_len);

/* Is there such a file? */
bool files_exist(EFI_HANDLE device, const char *path);
