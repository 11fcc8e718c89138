#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TPM in memory behind tpm_ops: its keys are software keys, wrapped by writing its seed beside them. */

#include "agent/tpm/tpm.h"

struct fake_tpm {
    uint8_t seed;               /* another one is another TPM */
    enum err fail;              /* what the operations answer ... */
    unsigned fail_after, fails; /* ... when so many were done, and so many times */
    bool lies;                  /* its signatures are of something else */
    unsigned loaded, opened, open, operations, paused_ms;
};
extern struct fake_tpm fake_tpm;
extern const struct tpm_edge fake_tpm_edge;

/* A new one with this seed that never fails. */
void fake_tpm_reset(uint8_t seed);
