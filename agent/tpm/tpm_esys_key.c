/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The signing key. */
#include "agent/tpm/tpm_esys.h"
#include "agent/tpm/tpm_esys_context.h"
#include <string.h>

#define NONE ESYS_TR_NONE
#define NULL_ECC                                                                                             \
    .symmetric.algorithm = TPM2_ALG_NULL, .kdf.scheme = TPM2_ALG_NULL, .curveID = TPM2_ECC_NIST_P256

static const TPM2B_PUBLIC signing_key = {
    .publicArea = {.type = TPM2_ALG_ECC,
                   .nameAlg = TPM2_ALG_SHA256,
                   .objectAttributes = TPM_OURS | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_SIGN_ENCRYPT,
                   .parameters.eccDetail = {NULL_ECC, .scheme = {.scheme = TPM2_ALG_ECDSA,
                                                                 .details.ecdsa.hashAlg = TPM2_ALG_SHA256}}}};

/* Big-endian numbers lose their leading zeros on some TPMs. */
static enum err pad(const TPM2B_ECC_PARAMETER *p, uint8_t ret[static 32])
{
    if (p->size > 32)
        return ERR_FORMAT;
    memset(ret, 0, 32u - p->size);
    memcpy(ret + 32 - p->size, p->buffer, p->size);
    return ERR_OK;
}

enum err tpm_context_create_key(void *connection, struct tpm_blob *ret)
{
    static const TPM2B_SENSITIVE_CREATE nothing;
    struct tpm_context *c = connection;
    TPM2B_PUBLIC *public = NULL;
    TPM2B_PRIVATE *private = NULL;
    struct tpm_blob b = *ret;
    TRY(tpm_context_primary(c));
    enum err e =
        err_from_tss(Esys_Create(c->esys, c->primary, TPM_EMPTY_AUTH, NONE, NONE, &nothing, &signing_key,
                                 &tpm_no_info, &tpm_no_pcr, &private, &public, NULL, NULL, NULL));
    if (e == ERR_OK)
        e = tpm_context_marshal(public, private, &b);
    b.key.point[0] = 4;
    if (e == ERR_OK)
        e = pad(&public->publicArea.unique.ecc.x, b.key.point + 1);
    if (e == ERR_OK)
        e = pad(&public->publicArea.unique.ecc.y, b.key.point + 33);
    if (e == ERR_OK)
        *ret = b;
    Esys_Free(public);
    Esys_Free(private);
    return e;
}

enum err tpm_context_sign(void *connection, const struct tpm_blob *b, const uint8_t digest[static 32],
                          uint8_t ret[static CR_P256_SIG])
{
    /* an unrestricted key signs any digest, so no ticket of the TPM's own hash is needed */
    static const TPMT_TK_HASHCHECK no_ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
    static const TPMT_SIG_SCHEME of_the_key = {.scheme = TPM2_ALG_NULL};
    struct tpm_context *c = connection;
    TPM2B_DIGEST d = {.size = 32};
    TPMT_SIGNATURE *s = NULL;
    uint8_t sig[CR_P256_SIG];
    ESYS_TR key = NONE;
    memcpy(d.buffer, digest, 32);
    TRY(tpm_context_load(c, b, &key));
    enum err e =
        err_from_tss(Esys_Sign(c->esys, key, TPM_EMPTY_AUTH, NONE, NONE, &d, &of_the_key, &no_ticket, &s));
    tpm_context_flush(c, &key);
    if (e == ERR_OK && s->sigAlg != TPM2_ALG_ECDSA)
        e = ERR_FORMAT;
    if (e == ERR_OK)
        e = pad(&s->signature.ecdsa.signatureR, sig);
    if (e == ERR_OK)
        e = pad(&s->signature.ecdsa.signatureS, sig + 32);
    if (e == ERR_OK)
        memcpy(ret, sig, sizeof sig);
    Esys_Free(s);
    return e;
}
