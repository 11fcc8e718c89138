#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What signs an EFI program, and what is signed of it: the certificate table of a PE image, and the digest of
 * the rest. source: Microsoft PE/COFF, "The Attribute Certificate Table"; "Windows Authenticode Portable
 * Executable Signature Format", "Calculating the PE Image Hash" */

#include "crypto/err.h"
#include "crypto/hash.h"

#define PE_SIGNATURES 8

struct pe_signatures {
    uint8_t sha256[CR_SHA256_SIZE];
    unsigned n;                              /* PKCS #7 ones; 0: it is not signed */
    struct cr_part signature[PE_SIGNATURES]; /* within the image */
};

/* Find them. The image is hashed as a whole but for the table itself, its address and the checksum: right for
 * one whose sections follow one another and whose table comes last, as linkers and signing programs make it.
 * err: FORMAT (no PE image, or its table is not at the end), TRUNCATED, RANGE (more than PE_SIGNATURES) */
MUST_CHECK enum err pe_signatures_read(const void *image, size_t len, struct pe_signatures *ret);
