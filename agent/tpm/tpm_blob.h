#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the TPM gave us to keep: a signing key or a secret, wrapped by a storage key that never leaves it.
 * Worth nothing to another TPM, nor to this one once it was cleared. */

#include "crypto/err.h"
#include "crypto/p256.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TPM_NAME        34 /* of an object: hash algorithm (SHA-256) and hash of its public area */
#define TPM_PUBLIC_MAX  256
#define TPM_PRIVATE_MAX 512
#define TPM_BLOB_MAX    (8 + TPM_NAME + CR_P256_POINT + 2 + TPM_PUBLIC_MAX + 2 + TPM_PRIVATE_MAX)

enum tpm_blob_kind { TPM_BLOB_KEY = 1, TPM_BLOB_SEALED = 2 };

struct tpm_blob {
    uint8_t kind;              /* enum tpm_blob_kind */
    uint8_t primary[TPM_NAME]; /* name of the storage key: another one means another TPM, or a cleared one */
    struct cr_p256_pub key;    /* of a KEY */
    size_t public_len, private_len;
    uint8_t public[TPM_PUBLIC_MAX];   /* TPM2B_PUBLIC, marshalled */
    uint8_t private[TPM_PRIVATE_MAX]; /* TPM2B_PRIVATE, marshalled */
};

/* Does this file hold a blob, whole or not? (Else it is something else: a PEM key, a bare secret.) */
bool tpm_blob_is(const uint8_t *in, size_t len);
/* source: docs/formats.md. err: RANGE (a part is too long) */
MUST_CHECK enum err tpm_blob_encode(const struct tpm_blob *b, uint8_t ret[static TPM_BLOB_MAX],
                                    size_t *ret_len);
/* err: FORMAT, TRUNCATED, VERSION */
MUST_CHECK enum err tpm_blob_decode(const uint8_t *in, size_t len, struct tpm_blob *ret);
