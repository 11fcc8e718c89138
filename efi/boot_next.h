#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is started after us: the boot entry that would have come next. */

#include "efi/boot_list.h"

/* A place to start from; the candidates are tried in order, so this is also the memory of how far we came. */
struct boot_next {
    EFI_HANDLE opened; /* the volume whose password is handed over, NULL none: set it before the first call */
    const struct boot_entry *chosen; /* by a person, NULL none: comes first; borrowed */
    unsigned stage;                  /* boot_next.c's own */
    unsigned at;                     /* next entry within the stage */
    char name[BOOT_NAME];            /* of the entry tried last */
};

/* Load the next candidate: what was chosen, then active entries of BootOrder that are not ourselves, then
 * \EFI\BOOT\BOOTX64.EFI of the file system we came from, then programs inside the firmware (its shell).
 * Network entries are left out. With a volume opened, what lies on its disk or on ours comes first, its own
 * \EFI\BOOT\BOOTX64.EFI included: whoever starts next reads the password, and a stick that happens to be
 * plugged in must not. ret_image: loaded, not started err: NOT_FOUND (no candidate is left), DENIED (Secure
 * Boot refused it; b->name says what; call again for the next one) */
MUST_CHECK enum err boot_next_load(struct boot_next *b, EFI_HANDLE *ret_image);

/* May the candidate read the password? True for what lies on the opened volume's disk or on ours. */
bool boot_next_is_known(const struct boot_next *b);

/* Is it the one that a person chose? */
bool boot_next_is_chosen(const struct boot_next *b);

/* Start it. Returns only when it came back; err: what it said, OK included. */
MUST_CHECK enum err boot_next_start(EFI_HANDLE image);
