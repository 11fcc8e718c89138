/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connection, storage key, session. One object and one session beside the storage key at any time: a TPM
 * without a resource manager has three places. */
#include "agent/tpm/tpm_esys.h"
#include "agent/tpm/tpm_esys_context.h"
#include "crypto/host/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_sys.h>
#include <tss2/tss2_tctildr.h>
#include <unistd.h>

#define NONE   ESYS_TR_NONE
#define DEVICE "device:"

static const TPMT_SYM_DEF aes = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};

/* source: TCG TPM v2.0 Provisioning Guidance, the SRK's template; noDA, so that a lock-out after somebody's
 * wrong authorisations does not stop us */
static const TPM2B_PUBLIC storage_key = {
    .publicArea = {.type = TPM2_ALG_ECC,
                   .nameAlg = TPM2_ALG_SHA256,
                   .objectAttributes = TPM_OURS | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_RESTRICTED |
                                       TPMA_OBJECT_DECRYPT,
                   .parameters.eccDetail = {
                       .symmetric = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB},
                       .scheme.scheme = TPM2_ALG_NULL,
                       .kdf.scheme = TPM2_ALG_NULL,
                       .curveID = TPM2_ECC_NIST_P256}}};

const TPM2B_DATA tpm_no_info;
const TPML_PCR_SELECTION tpm_no_pcr;

/* tpm2-tss says only "I/O error" to all of them. */
static enum err try_device(const char *tcti)
{
    if (strncmp(tcti, DEVICE, strlen(DEVICE)) != 0)
        return ERR_OK;
    int fd = open(tcti + strlen(DEVICE), O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return errno == ENODEV || errno == ENXIO ? ERR_NOT_FOUND : err_from_errno(errno);
    (void)close(fd);
    return ERR_OK;
}

static void esys_close(void *connection)
{
    struct tpm_context *c = connection;
    TSS2_SYS_CONTEXT *sys = NULL;
    tpm_context_flush(c, &c->primary);
    /* The buffer of the last commands, decrypted in place: a secret may still stand in it. */
    if (c->esys && Esys_GetSysContext(c->esys, &sys) == TSS2_RC_SUCCESS && sys)
        cr_wipe(sys, Tss2_Sys_GetContextSize(0));
    if (c->esys)
        Esys_Finalize(&c->esys);
    if (c->tcti)
        Tss2_TctiLdr_Finalize(&c->tcti);
    free(c);
}

static enum err esys_open(const char *tcti, void **ret)
{
    TRY(try_device(tcti));
    /* It prints a line for each failure that we expect; read once, at its first line. It is set here and not
     * in the unit because process_harden() clears it, so that nobody makes it write down what it sends. */
    (void)setenv("TSS2_LOG", "all+NONE", 1);
    struct tpm_context *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    c->primary = NONE;
    TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti, &c->tcti);
    enum err e = rc == TSS2_RC_SUCCESS ? err_from_tss(Esys_Initialize(&c->esys, c->tcti, NULL)) : ERR_OFFLINE;
    if (e != ERR_OK) {
        esys_close(c);
        return e;
    }
    *ret = c;
    return ERR_OK;
}

void tpm_context_flush(struct tpm_context *c, ESYS_TR *handle)
{
    if (*handle == NONE)
        return;
    /* Where the connection broke it fails; the kernel's resource manager flushes then. */
    if (Esys_FlushContext(c->esys, *handle) != TSS2_RC_SUCCESS)
        (void)Esys_TR_Close(c->esys, handle);
    *handle = NONE;
}

static enum err copy_name(struct tpm_context *c)
{
    TPM2B_NAME *name = NULL;
    TRY(err_from_tss(Esys_TR_GetName(c->esys, c->primary, &name)));
    enum err e = name->size == sizeof c->name ? ERR_OK : ERR_UNSUPPORTED;
    if (e == ERR_OK)
        memcpy(c->name, name->name, sizeof c->name);
    Esys_Free(name);
    return e;
}

enum err tpm_context_primary(struct tpm_context *c)
{
    static const TPM2B_SENSITIVE_CREATE nothing;
    if (c->primary != NONE)
        return ERR_OK;
    TRY(err_from_tss(Esys_CreatePrimary(c->esys, ESYS_TR_RH_OWNER, TPM_EMPTY_AUTH, NONE, NONE, &nothing,
                                        &storage_key, &tpm_no_info, &tpm_no_pcr, &c->primary, NULL, NULL,
                                        NULL, NULL)));
    enum err e = copy_name(c);
    if (e != ERR_OK)
        tpm_context_flush(c, &c->primary);
    return e;
}

static enum err esys_primary(void *connection, uint8_t ret[static TPM_NAME])
{
    struct tpm_context *c = connection;
    TRY(tpm_context_primary(c));
    memcpy(ret, c->name, sizeof c->name);
    return ERR_OK;
}

enum err tpm_context_session(struct tpm_context *c, TPMA_SESSION crypt, ESYS_TR *ret)
{
    ESYS_TR s = NONE;
    TRY(err_from_tss(Esys_StartAuthSession(c->esys, c->primary, NONE, NONE, NONE, NONE, NULL, TPM2_SE_HMAC,
                                           &aes, TPM2_ALG_SHA256, &s)));
    enum err e =
        err_from_tss(Esys_TRSess_SetAttributes(c->esys, s, crypt | TPMA_SESSION_CONTINUESESSION, 0xff));
    if (e != ERR_OK)
        tpm_context_flush(c, &s);
    else
        *ret = s;
    return e;
}

enum err tpm_context_marshal(const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private, struct tpm_blob *ret)
{
    size_t public_len = 0, private_len = 0;
    TRY(err_from_tss(Tss2_MU_TPM2B_PUBLIC_Marshal(public, ret->public, sizeof ret->public, &public_len)));
    TRY(err_from_tss(
        Tss2_MU_TPM2B_PRIVATE_Marshal(private, ret->private, sizeof ret->private, &private_len)));
    ret->public_len = public_len;
    ret->private_len = private_len;
    return ERR_OK;
}

enum err tpm_context_load(struct tpm_context *c, const struct tpm_blob *b, ESYS_TR *ret)
{
    TPM2B_PUBLIC public = {.size = 0};
    TPM2B_PRIVATE private = {.size = 0};
    size_t at = 0;
    TRY(tpm_context_primary(c));
    if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(b->public, b->public_len, &at, &public) != TSS2_RC_SUCCESS)
        return ERR_FORMAT;
    at = 0;
    if (Tss2_MU_TPM2B_PRIVATE_Unmarshal(b->private, b->private_len, &at, &private) != TSS2_RC_SUCCESS)
        return ERR_FORMAT;
    return err_from_tss(Esys_Load(c->esys, c->primary, TPM_EMPTY_AUTH, NONE, NONE, &private, &public, ret));
}

const struct tpm_ops tpm_esys = {.open = esys_open,
                                 .close = esys_close,
                                 .primary = esys_primary,
                                 .create_key = tpm_context_create_key,
                                 .sign = tpm_context_sign,
                                 .seal = tpm_context_seal,
                                 .unseal = tpm_context_unseal,
                                 .state = tpm_context_state};
