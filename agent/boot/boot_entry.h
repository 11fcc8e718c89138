#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The firmware's boot entry for the recovery app: there is always one, and it is never first in line. */

#include "crypto/err.h"
#include <stddef.h>
#include <stdint.h>

struct boot_option {
    const uint8_t *path; /* device path with its end node; borrowed */
    size_t len;
    const char *argument; /* for the program at that path, ASCII; NULL none */
};

/* Make the entry "Keyholt recovery" start this. An existing one is updated, not doubled; a
 * new one gets the lowest free Boot#### and the last place in BootOrder. Where the firmware has no BootOrder
 * none is made: with ours alone in it the recovery app would start instead of the OS.
 * efivars: where efivarfs is mounted
 * err: FULL (no free number, or no room in the firmware's store), DENIED, IO */
MUST_CHECK enum err boot_entry_put(const char *efivars, const struct boot_option *option);
/* Number of the entry "Keyholt recovery", and its place in BootOrder.
 * ret_place: from 1; 0: it is not in it. err: NOT_FOUND (there is none), IO */
MUST_CHECK enum err boot_entry_find(const char *efivars, uint16_t *ret_number, unsigned *ret_place);
