#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sticks that files can be copied to: file systems on removable media and USB disks. */

#include "efi/copy_pages.h"
#include "efi/firmware.h"

#define COPY_STICKS 8

struct copy_stick {
    EFI_HANDLE device;
    struct copy_place place;
};

/* Those that there are now, also write-protected ones; never a volume that was opened here. Returns how many.
 * cost: one reading of each; the first time a driver may count what is free */
unsigned copy_sticks_find(struct copy_stick ret[static COPY_STICKS]);
