#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Would this computer start the recovery app with Secure Boot as it is? The firmware's own question, asked
 * before the day on which the answer matters. Looks only. */

#include <stddef.h>
#include <stdint.h>

#define SECURE_BOOT_LIST(X)                                                                                  \
    X(OFF, "off")                                                                                            \
    X(TRUSTED, "trusted")         /* by the firmware's db */                                                 \
    X(BY_SHIM, "trusted-by-shim") /* by a machine owner's key (MOK): shim starts it, the firmware not */     \
    X(UNSIGNED, "unsigned")                                                                                  \
    X(DAMAGED, "damaged")         /* changed after it was signed, or no EFI program */                       \
    X(STRANGER, "unknown-signer") /* neither db nor MOK know who signed it */                                \
    X(REVOKED, "revoked")         /* dbx names it or its signer */                                           \
    X(UNKNOWN, "unknown")         /* the firmware's lists cannot be read */
#define SECURE_BOOT_ENUM(name, text) SECURE_BOOT_##name,
enum secure_boot { SECURE_BOOT_LIST(SECURE_BOOT_ENUM) };
#undef SECURE_BOOT_ENUM

/* efivars: where efivarfs is mounted; app: the whole program. cost: a few signature checks for each
 * certificate in the lists, some milliseconds. source: UEFI 2.10 section 32.5.3.3 */
enum secure_boot secure_boot_judge(const char *efivars, const uint8_t *app, size_t len);
/* "trusted-by-shim", for JSON. Never NULL. */
const char *secure_boot_text(enum secure_boot s);
/* What stands in the way of starting the app, and what to do about it; NULL when nothing does. */
const char *secure_boot_trouble(enum secure_boot s);
