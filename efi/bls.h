#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Boot Loader Specification entries, type 1: a text file that names a kernel. Pure: tested hosted.
 * source: UAPI Group, UAPI.1 Boot Loader Specification */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>

#define BLS_MAX     8192 /* bytes of a file */
#define BLS_PATH    128
#define BLS_TITLE   64
#define BLS_OPTIONS 1024

struct bls {
    char title[BLS_TITLE];     /* "title", or ""; with "version" behind it */
    char program[BLS_PATH];    /* "linux" or "efi", with backslashes */
    char options[BLS_OPTIONS]; /* for the program: "initrd=…" for each initrd, then "options" */
};

/* Unknown keys are passed over. text: len bytes
 * err: FORMAT (names no program, or one that is no absolute path), FULL (longer than is kept) */
MUST_CHECK enum err bls_decode(const char *text, size_t len, struct bls *ret);
