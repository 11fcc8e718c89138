#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unpredictable bytes. Hosted: OpenSSL's private generator. EFI: efi/random.c defines it from the
 * firmware's and the processor's generators, because only there is a firmware to ask. */

#include "crypto/err.h"
#include <stddef.h>

/* err: UNSUPPORTED when no trustworthy source exists (EFI only); ret is then untouched. */
MUST_CHECK enum err cr_random(void *ret, size_t len);
