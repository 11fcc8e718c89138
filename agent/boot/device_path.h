#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Nodes of an EFI device path, as the hand-off reads and writes them in boot entries; without libefivar,
 * which the initramfs does without. source: UEFI 2.10 sections 10.3.1, 10.3.5.1, 10.3.5.4 */

#define NODE_HEAD      4 /* type, subtype, length */
#define NODE_MEDIA     4
#define NODE_HARD_DISK 1
#define HARD_DISK_LEN  42
#define BY_GPT         2 /* partition format, and signature type */
#define NODE_FILE_PATH 4
#define NODE_END       0x7f
#define END_WHOLE      0xff
