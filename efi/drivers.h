#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* File-system drivers that the organisation put beside the app: firmware itself knows FAT only. */

#include <stdbool.h>

struct drivers {
    unsigned started, refused; /* refused: not signed by a key that Secure Boot trusts here */
    bool looked;
};

/* Start every \EFI\keyholt\drivers\*_x64.efi of the file system that we were loaded from, once. The
 * firmware's own LoadImage decides by Secure Boot. */
void drivers_start(struct drivers *d);
