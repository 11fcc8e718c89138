#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One connection to the TPM, for tpm_esys*.c only. */

#include "agent/tpm/tpm.h"
#include <tss2/tss2_esys.h>

struct tpm_context {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR primary; /* the storage key; ESYS_TR_NONE until it is needed */
    uint8_t name[TPM_NAME];
};

#define TPM_EMPTY_AUTH ESYS_TR_PASSWORD
#define TPM_OURS                                                                                             \
    (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA)
extern const TPM2B_DATA tpm_no_info;
extern const TPML_PCR_SELECTION tpm_no_pcr;

/* Make the storage key, once for a connection. */
MUST_CHECK enum err tpm_context_primary(struct tpm_context *c);
/* A session under which nothing that passes between here and the TPM can be read or changed on the bus: its
 * key comes from a salt that only the storage key (there already) can decrypt.
 * crypt: TPMA_SESSION_DECRYPT for what is sent, TPMA_SESSION_ENCRYPT for what comes back */
MUST_CHECK enum err tpm_context_session(struct tpm_context *c, TPMA_SESSION crypt, ESYS_TR *ret);
MUST_CHECK enum err tpm_context_marshal(const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private,
                                        struct tpm_blob *ret);
/* err: FORMAT (damaged), CONFLICT (wrapped by another storage key), … */
MUST_CHECK enum err tpm_context_load(struct tpm_context *c, const struct tpm_blob *b, ESYS_TR *ret);
/* Flush an object or session and forget its handle; takes ESYS_TR_NONE. */
void tpm_context_flush(struct tpm_context *c, ESYS_TR *handle);

/* Of tpm_ops: tpm_esys_key.c, tpm_esys_seal.c, tpm_esys_state.c. */
MUST_CHECK enum err tpm_context_create_key(void *connection, struct tpm_blob *ret);
MUST_CHECK enum err tpm_context_sign(void *connection, const struct tpm_blob *b,
                                     const uint8_t digest[static 32], uint8_t ret[static CR_P256_SIG]);
MUST_CHECK enum err tpm_context_seal(void *connection, const struct secret *s, struct tpm_blob *ret);
MUST_CHECK enum err tpm_context_unseal(void *connection, const struct tpm_blob *b, struct secret *ret);
MUST_CHECK enum err tpm_context_state(void *connection, struct tpm_state *ret);
