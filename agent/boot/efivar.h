#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* EFI variables as Linux shows them: one file each in efivarfs, 4 attribute bytes before the data, most of
 * them immutable until the flag is cleared. Plain file access instead of libefivar, because the directory
 * must be a parameter (tests use a plain one) and because the initramfs stays a library smaller. Hosted. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest data, without the attributes, that is read or written here. */
#define EFIVAR_MAX 4096

/* Attributes. source: UEFI 2.10 section 8.2.1 */
#define EFIVAR_NV 1u /* non-volatile */
#define EFIVAR_BS 2u /* seen by boot services */
#define EFIVAR_RT 4u /* seen by the operating system */

/* Vendor GUID of Boot####, BootNext, BootOrder. Ours is KH_EFI_GUID_TEXT of formats/names.h. */
#define EFIVAR_GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"

/* Are there any variables? False on a machine without UEFI and where efivarfs is not mounted. */
bool efivar_available(const char *dir);

/* Read one variable.
 * dir:  the mount, KH_EFIVARS but in tests; name and guid: as the file is called, "name-guid"
 * ret:  data without the attribute bytes; the inner buffer is wiped, this one is the caller's to wipe
 * ret_attributes: may be NULL
 * err:  NOT_FOUND, DENIED, TRUNCATED (no attribute bytes: a write that failed), FULL (more than cap), IO */
MUST_CHECK enum err efivar_read(const char *dir, const char *name, const char *guid, uint32_t *ret_attributes,
                                void *ret, size_t cap, size_t *ret_len);

/* Create or overwrite one variable, in one write(2) as the firmware wants it. Only non-volatile ones can be
 * written while an OS runs. Clears the immutable flag first where the variable exists (CAP_LINUX_IMMUTABLE).
 * err: RANGE (longer than EFIVAR_MAX), DENIED, FULL (no room in the firmware's store), IO */
MUST_CHECK enum err efivar_write(const char *dir, const char *name, const char *guid, uint32_t attributes,
                                 const void *p, size_t len);

/* Delete one variable and make sure: ERR_OK means that it was there and that no such file is left.
 * err: NOT_FOUND (there was none), DENIED (immutable, read-only mount), IO (still there; a volatile variable
 *      cannot be deleted by an OS) */
MUST_CHECK enum err efivar_delete(const char *dir, const char *name, const char *guid);
