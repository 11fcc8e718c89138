#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The device's identity: an ECDSA P-256 key in a 0600 file (in the TPM once the agent uses one). It signs
 * records and the enrolment, in the keeper only, and never a digest that another process computed. */

#include "crypto/err.h"
#include "crypto/p256.h"

struct device_key {
    struct cr_p256_key *key;
    uint8_t spki[CR_P256_SPKI];
    uint8_t id[CR_KEY_ID]; /* the device ID */
};

/* Load the key, or make one where there is none.
 * err: FORMAT (no P-256 key), DENIED (others may read the file), FULL, IO */
MUST_CHECK enum err device_key_load(const char *path, struct device_key *ret);
void device_key_close(struct device_key *k); /* takes a zeroed one */
