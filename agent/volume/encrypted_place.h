#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does a file lie on an encrypted disk? Asked before a key that opens volumes is kept in one: on a disk in
 * clear it would undo their encryption for whoever takes the disk, or (bound to the TPM without a PCR) the
 * computer. */

#include <stdbool.h>

/* path: a file or folder that exists, without links in it. By device-mapper's UUIDs in sysfs: every disk
 * below it must be behind dm-crypt. False for what cannot be found out (a network file system, memory). root:
 * --root; where sysfs and devices are looked for */
bool encrypted_place(const char *root, const char *path);
