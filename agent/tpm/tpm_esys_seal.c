/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small secrets. */
#include "agent/tpm/tpm_esys.h"
#include "agent/tpm/tpm_esys_context.h"
#include <string.h>

#define NONE           ESYS_TR_NONE
#define NO_SUCH_HANDLE ((ESYS_TR)0x40000000)

static const TPM2B_PUBLIC sealed_data = {
    .publicArea = {.type = TPM2_ALG_KEYEDHASH,
                   .nameAlg = TPM2_ALG_SHA256,
                   .objectAttributes = TPM_OURS,
                   .parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL}};

/* ESYS keeps what it was given to create until it creates something else. The handle does not exist, so it
 * stops there, and nothing is sent. */
static void forget_secret(struct tpm_context *c)
{
    static const TPM2B_SENSITIVE_CREATE nothing;
    (void)Esys_Create_Async(c->esys, NO_SUCH_HANDLE, TPM_EMPTY_AUTH, NONE, NONE, &nothing, &sealed_data,
                            &tpm_no_info, &tpm_no_pcr);
}

enum err tpm_context_seal(void *connection, const struct secret *s, struct tpm_blob *ret)
{
    struct tpm_context *c = connection;
    TPM2B_SENSITIVE_CREATE data = {.sensitive.data.size = (uint16_t)s->len};
    TPM2B_PUBLIC *public = NULL;
    TPM2B_PRIVATE *private = NULL;
    ESYS_TR session = NONE;
    if (s->len > TPM_SECRET_MAX)
        return ERR_RANGE;
    TRY(tpm_context_primary(c));
    TRY(tpm_context_session(c, TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT, &session));
    memcpy(data.sensitive.data.buffer, s->bytes, s->len);
    enum err e = err_from_tss(Esys_Create(c->esys, c->primary, session, NONE, NONE, &data, &sealed_data,
                                          &tpm_no_info, &tpm_no_pcr, &private, &public, NULL, NULL, NULL));
    cr_wipe(&data, sizeof data);
    forget_secret(c);
    tpm_context_flush(c, &session);
    if (e == ERR_OK)
        e = tpm_context_marshal(public, private, ret);
    Esys_Free(public);
    Esys_Free(private);
    return e;
}

static enum err unseal(struct tpm_context *c, ESYS_TR object, struct secret *ret)
{
    TPM2B_SENSITIVE_DATA *data = NULL;
    ESYS_TR session = NONE;
    TRY(tpm_context_session(c, TPMA_SESSION_ENCRYPT, &session));
    enum err e = err_from_tss(Esys_Unseal(c->esys, object, session, NONE, NONE, &data));
    tpm_context_flush(c, &session);
    if (e == ERR_OK && (data->size < TPM_SECRET_MIN || data->size > TPM_SECRET_MAX))
        e = ERR_FORMAT;
    if (e == ERR_OK) {
        memcpy(ret->bytes, data->buffer, data->size);
        ret->len = data->size;
    }
    if (data)
        cr_wipe(data, sizeof *data);
    Esys_Free(data);
    return e;
}

enum err tpm_context_unseal(void *connection, const struct tpm_blob *b, struct secret *ret)
{
    struct tpm_context *c = connection;
    ESYS_TR object = NONE;
    TRY(tpm_context_load(c, b, &object));
    enum err e = unseal(c, object, ret);
    tpm_context_flush(c, &object);
    return e;
}
