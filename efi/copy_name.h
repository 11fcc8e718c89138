#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of files on their way to a FAT file system, and for people's eyes. Pure: tested hosted. */

#include "efi/tree.h"

/* The name as FAT can hold it and every system can open it: what is forbidden becomes "_", and so do dots and
 * spaces at its end; names of old DOS devices get a "_" behind them. True when it had to be changed.
 * source: Microsoft, "Naming Files, Paths, and Namespaces"; FAT specification 1.03, section 7 */
bool copy_name_make_safe(const uint16_t *name, uint16_t ret[static TREE_NAME]);

/* rEFInd's ext4 driver hands the bytes of a UTF-8 name over as characters of their own ("Ã¼" for "ü"): such a
 * name as it was meant. Every other name stays. Only for writing and showing: the driver opens files by its
 * own name. */
void copy_name_mend(const uint16_t *name, uint16_t ret[static TREE_NAME]);

/* The nth name (from 2) for what would have the same: "photo.jpg" → "photo~2.jpg". */
void copy_name_other(const uint16_t *name, unsigned n, uint16_t ret[static TREE_NAME]);

/* Mended, too. The two halves of a surrogate pair become one character, lone ones "?"; cut before a character
 * that does not fit. cap counts the zero byte. Returns bytes without it. */
size_t copy_name_utf8(const uint16_t *name, char *ret, size_t cap);
/* ASCII only. */
void copy_name_wide(const char *ascii, uint16_t *ret, size_t cap);
