#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The firmware's lists of what may start (db), what may not (dbx), and shim's of the owner's own keys
 * (MokListRT): EFI_SIGNATURE_LIST, one after another. source: UEFI 2.10 section 32.4.1 */

#include "crypto/cursor.h"
#include <stdbool.h>

enum efi_signature_kind {
    EFI_SIGNATURE_OTHER = 0,
    EFI_SIGNATURE_X509,      /* a certificate, DER */
    EFI_SIGNATURE_SHA256,    /* digest of an image */
    EFI_SIGNATURE_TBS_SHA256 /* digest of the signed part of a certificate, and a time */
};

struct efi_signature {
    enum efi_signature_kind kind;
    const uint8_t *p; /* borrowed from the list, without the owner's GUID */
    size_t len;
};

struct efi_signatures {
    struct reader r; /* private */
    size_t end, each;
    enum efi_signature_kind kind;
};

void efi_signatures_begin(const void *lists, size_t len, struct efi_signatures *ret);
/* The next one; false at the end, and where the rest cannot be read (efi_signatures_whole() is false then).
 */
bool efi_signatures_next(struct efi_signatures *s, struct efi_signature *ret);
bool efi_signatures_whole(const struct efi_signatures *s);
