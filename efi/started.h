#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/firmware.h"
#include <stdbool.h>

/* Which build of this program works here: said to the system that starts behind it, which keeps the build
 * before until then. */

/* Leave the SHA-256 of the file that we were loaded from in a volatile variable. Says nothing where the file
 * cannot be found. cost: reads the file once, some milliseconds */
void started_tell(void);

/* Is this file ourselves once more? The agent keeps a copy where firmware looks when it has lost its entries;
 * starting it as the next stage would lead back here. cost: reads both files where the other is as long as
 * ours may be */
bool started_is_copy(EFI_HANDLE device, const char *path);
