/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/tpm/tpm_esys.h"
#include <stddef.h>
#include <tss2/tss2_tpm2_types.h>

/* Numbers as the TPM sends them, without what they say about the handle, session or parameter. */
static const struct row {
    uint32_t rc;
    enum err e;
} from_tpm[] = {
    {TPM2_RC_RETRY, ERR_BUSY},
    {TPM2_RC_YIELDED, ERR_BUSY},
    {TPM2_RC_TESTING, ERR_BUSY},
    {TPM2_RC_CANCELED, ERR_BUSY},
    {TPM2_RC_NV_RATE, ERR_BUSY},
    {TPM2_RC_NV_UNAVAILABLE, ERR_BUSY},
    /* other programs' objects and sessions fill it: they will go */
    {TPM2_RC_CONTEXT_GAP, ERR_BUSY},
    {TPM2_RC_OBJECT_MEMORY, ERR_BUSY},
    {TPM2_RC_SESSION_MEMORY, ERR_BUSY},
    {TPM2_RC_MEMORY, ERR_BUSY},
    {TPM2_RC_SESSION_HANDLES, ERR_BUSY},
    {TPM2_RC_OBJECT_HANDLES, ERR_BUSY},
    {TPM2_RC_LOCKOUT, ERR_DENIED},
    {TPM2_RC_HIERARCHY, ERR_DENIED},
    {TPM2_RC_DISABLED, ERR_DENIED},
    {TPM2_RC_AUTH_FAIL, ERR_AUTH},
    {TPM2_RC_BAD_AUTH, ERR_AUTH},
    {TPM2_RC_AUTH_UNAVAILABLE, ERR_AUTH},
    {TPM2_RC_AUTH_MISSING, ERR_AUTH},
    {TPM2_RC_INTEGRITY, ERR_CONFLICT},
    {TPM2_RC_BINDING, ERR_CONFLICT},
    {TPM2_RC_CURVE, ERR_UNSUPPORTED},
    {TPM2_RC_ASYMMETRIC, ERR_UNSUPPORTED},
    {TPM2_RC_SYMMETRIC, ERR_UNSUPPORTED},
    {TPM2_RC_HASH, ERR_UNSUPPORTED},
    {TPM2_RC_SCHEME, ERR_UNSUPPORTED},
    {TPM2_RC_KDF, ERR_UNSUPPORTED},
    {TPM2_RC_KEY_SIZE, ERR_UNSUPPORTED},
    {TPM2_RC_COMMAND_CODE, ERR_UNSUPPORTED},
    {TPM2_RC_FAILURE, ERR_IO}, /* in failure mode until it is reset */
    {TPM2_RC_INITIALIZE, ERR_IO},
    {TPM2_RC_REBOOT, ERR_IO},
};

/* Codes that all layers of tpm2-tss share. */
static const struct row from_layers[] = {
    {TSS2_BASE_RC_MEMORY, ERR_NOMEM},
    {TSS2_BASE_RC_TRY_AGAIN, ERR_BUSY},
    {TSS2_BASE_RC_IO_ERROR, ERR_IO},
    {TSS2_BASE_RC_NO_CONNECTION, ERR_OFFLINE},
    {TSS2_BASE_RC_INSUFFICIENT_RESPONSE, ERR_IO},
    {TSS2_BASE_RC_MALFORMED_RESPONSE, ERR_IO},
    {TSS2_BASE_RC_GENERAL_FAILURE, ERR_IO},
    {TSS2_BASE_RC_NOT_PERMITTED, ERR_DENIED},
    {TSS2_BASE_RC_NOT_SUPPORTED, ERR_UNSUPPORTED},
    {TSS2_BASE_RC_RSP_AUTH_FAILED, ERR_AUTH}, /* somebody changed the answer on its way */
};

static enum err look_up(const struct row *rows, size_t n, uint32_t rc, enum err otherwise)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i].rc == rc)
            return rows[i].e;
    return otherwise;
}

/* source: part 2, 6.6.3: bit 7 marks a code with a number in bits 8 to 11 and "parameter" in bit 6 */
static uint32_t without_number(uint32_t rc)
{
    return rc & TPM2_RC_FMT1 ? rc & (TPM2_RC_FMT1 | 0x3f) : rc;
}

enum err err_from_tss(uint32_t rc)
{
    uint32_t layer = rc & TSS2_RC_LAYER_MASK, code = rc & ~TSS2_RC_LAYER_MASK;
    if (rc == TSS2_RC_SUCCESS)
        return ERR_OK;
    if (layer == TSS2_TPM_RC_LAYER || layer == TSS2_RESMGR_TPM_RC_LAYER)
        return look_up(from_tpm, sizeof from_tpm / sizeof from_tpm[0], without_number(code), ERR_IO);
    return look_up(from_layers, sizeof from_layers / sizeof from_layers[0], code, ERR_INTERNAL);
}
