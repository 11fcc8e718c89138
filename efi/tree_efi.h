#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The firmware's file systems as a tree. */

#include "efi/disk.h"
#include "efi/tree.h"

struct tree_efi {
    EFI_HANDLE device;   /* has the file system */
    struct disk *medium; /* under it, borrowed: asked whether it is still there */
};

/* ret: valid as long as t does not move. err: NOT_FOUND (no file system that a driver here can read) */
MUST_CHECK enum err tree_efi_init(struct tree_efi *t, EFI_HANDLE device, struct disk *medium,
                                  struct tree *ret);
