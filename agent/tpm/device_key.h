#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The device's identity: an ECDSA P-256 key, in the TPM where there is one, else in a 0600 file. It signs
 * records and the enrolment, in the keeper only, and never a digest that another process computed.
 * One file says which: a PEM key, or the wrapped object of the TPM. It is replaced as a whole, so a power cut
 * leaves the old identity or a complete new one. */

#include "agent/tpm/tpm.h"
#include "crypto/err.h"
#include "crypto/p256.h"

enum device_key_place { DEVICE_KEY_FILE = 1, DEVICE_KEY_TPM = 2 };

struct device_key {
    enum device_key_place place;
    struct cr_p256_pub pub;
    uint8_t spki[CR_P256_SPKI];
    uint8_t id[CR_KEY_ID];   /* the device ID */
    struct cr_p256_key *key; /* FILE */
    struct tpm *tpm;         /* borrowed; kept */
    struct tpm_blob blob;    /* TPM */
    /* why the TPM could not be used when the key was loaded: place TPM: it cannot sign now; place FILE: a
     * new key could not be made in the TPM that is there */
    enum err trouble;
    bool is_new; /* in the place of one that can never sign again */
};

/* Load the key, or make one where there is none. One that is in a TPM that was cleared or replaced can never
 * sign again: then a new one takes its place, and its ID is another. A TPM that is busy, away or broken may
 * come back: then the key is as it was, and `trouble` says what is wrong.
 * tpm: keeps
 * err: FORMAT (no P-256 key), DENIED (others may read the file), FULL, IO
 * cost: one signature where it is in the TPM: on a real one about half a second */
MUST_CHECK enum err device_key_load(const char *path, struct tpm *tpm, struct device_key *ret);
/* Make a new key and put it in the place of the old one, here and on the disk.
 * k: unchanged on failure. err: FULL, IO; of the TPM */
MUST_CHECK enum err device_key_renew(const char *path, enum device_key_place place, struct device_key *k);
void device_key_close(struct device_key *k); /* takes a zeroed one */

/* Sign a whole message. What a TPM signed is verified first.
 * ret_sig: raw r ‖ s
 * err: for a key in the TPM as agent/tpm/tpm.h, but OFFLINE where that is not there */
MUST_CHECK enum err device_key_sign(const struct device_key *k, const void *msg, size_t len,
                                    uint8_t ret_sig[static CR_P256_SIG]);
