#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* agent/tpm/tpm_esys*.c and the libraries of tpm2-tss, loaded while the TPM is used: at rest they would be a
 * megabyte of the keeper's locked memory. */

#include "agent/tpm/tpm.h"

/* The module keyholt-tpm.so lies beside the program. One user at a time. */
extern const struct tpm_edge tpm_module;
