#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the partition table says that a partition is for. */

#include "efi/firmware.h"
#include <stdbool.h>

/* Does a GPT say that this is something beside the system (home, var, srv, swap)? False for everything else,
 * and where the firmware does not tell. source: Discoverable Partitions Specification; UEFI 2.10, 13.18 */
bool partition_is_beside(EFI_HANDLE device);
