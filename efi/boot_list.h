#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Everything on this computer that can be started, for a person to choose from. */

#include "efi/firmware.h"
#include "efi/menu.h"
#include <stdbool.h>

#define BOOT_NAME 48 /* more of a name would not fit the screen's sentences */

struct boot_entry {
    char name[BOOT_NAME];
    EFI_DEVICE_PATH *path; /* whole: device and file */
    void *options;         /* handed to the program */
    size_t options_len;
    bool restart; /* no program: a clean start of the computer, as security chips measure it */
};

struct boot_list {
    unsigned n;
    struct boot_entry at[MENU_MAX];
};

/* Entries of BootOrder, then of each file system: Boot Loader Specification entries, unified kernel images,
 * and the loaders below \EFI (shim, GRUB, systemd-boot, Windows, the removable path); last, a restart. None
 * that is ourselves, none twice, none by network. cost: a few folders of each file system */
void boot_list_make(struct boot_list *l);
void boot_list_free(struct boot_list *l);
void boot_list_menu(const struct boot_list *l, struct menu *ret);
