#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A second way to the recovery app, because firmware may drop Boot#### entries: an entry in systemd-boot's
 * menu. (GRUB's is made by the package's script in /etc/grub.d, from GRUB's own commands.) */

#include "agent/state/agent.h"
#include "crypto/err.h"

/* Its name begins with '~', which systemd-boot sorts behind everything: the first entry is what it starts. */
#define BOOT_MENU_ENTRY    "\\loader\\entries\\~keyholt-recovery.conf"
#define BOOT_MENU_PREVIOUS "\\loader\\entries\\~keyholt-recovery-previous.conf"

/* Is systemd-boot on this EFI system partition? */
bool boot_menu_is_there(const struct agent *a);
/* Text of the entry for a program on the partition; name: with backslashes. ret: cap bytes, zero-terminated
 * err: RANGE. source: The Boot Loader Specification, type #1 */
MUST_CHECK enum err boot_menu_text(const char *title, const char *name, char *ret, size_t cap);
