#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TPM through tpm2-tss: ESYS over a TCTI that is named. */

#include "agent/tpm/tpm.h"
#include "crypto/err.h"
#include <stdint.h>

/* The one name that the module keyholt-tpm.so shows. */
extern const struct tpm_ops tpm_esys __attribute__((visibility("default")));

/* The one place where TSS2_RC becomes ours; codes of the TPM itself, of the kernel's resource manager and of
 * every layer of tpm2-tss. source: TCG TPM 2.0 Library, part 2, 6.6; TCG TSS 2.0 Overview, 4 */
enum err err_from_tss(uint32_t rc);
