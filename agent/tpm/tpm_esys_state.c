/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the TPM says about itself. */
#include "agent/tpm/tpm_esys.h"
#include "agent/tpm/tpm_esys_context.h"
#include <string.h>

#define NONE ESYS_TR_NONE

/* Texts come as numbers, four characters each; whatever is not printable ends them. */
static void put_text(uint32_t v, char *ret, size_t at)
{
    for (unsigned i = 0; i < 4; i++) {
        char ch = (char)(v >> (24 - 8 * i) & 0xff);
        if (ch < 0x20 || ch > 0x7e)
            ch = 0;
        ret[at + i] = ch;
    }
}

static void trim(char *text)
{
    size_t len = strlen(text);
    while (len && text[len - 1] == ' ')
        text[--len] = 0;
}

static void take(struct tpm_state *s, const TPMS_TAGGED_PROPERTY *p)
{
    switch (p->property) {
    case TPM2_PT_MANUFACTURER:
        put_text(p->value, s->manufacturer, 0);
        break;
    case TPM2_PT_VENDOR_STRING_1:
    case TPM2_PT_VENDOR_STRING_2:
    case TPM2_PT_VENDOR_STRING_3:
    case TPM2_PT_VENDOR_STRING_4:
        put_text(p->value, s->model, 4 * (p->property - TPM2_PT_VENDOR_STRING_1));
        break;
    case TPM2_PT_FIRMWARE_VERSION_1:
    case TPM2_PT_FIRMWARE_VERSION_2: {
        uint16_t *v = s->firmware + 2 * (p->property - TPM2_PT_FIRMWARE_VERSION_1);
        v[0] = (uint16_t)(p->value >> 16);
        v[1] = (uint16_t)p->value;
        break;
    }
    case TPM2_PT_PERMANENT:
        s->locked_out = p->value & TPMA_PERMANENT_INLOCKOUT;
        break;
    case TPM2_PT_LOCKOUT_COUNTER:
        s->lockout_count = p->value;
        break;
    case TPM2_PT_MAX_AUTH_FAIL:
        s->lockout_max = p->value;
        break;
    case TPM2_PT_LOCKOUT_INTERVAL:
        s->lockout_interval_s = p->value;
        break;
    default:
        break;
    }
}

/* n properties from first on, as many as there are. */
static enum err take_range(struct tpm_context *c, uint32_t first, uint32_t n, struct tpm_state *s)
{
    TPMS_CAPABILITY_DATA *data = NULL;
    TPMI_YES_NO more;
    TRY(err_from_tss(
        Esys_GetCapability(c->esys, NONE, NONE, NONE, TPM2_CAP_TPM_PROPERTIES, first, n, &more, &data)));
    const TPML_TAGGED_TPM_PROPERTY *list = &data->data.tpmProperties;
    for (uint32_t i = 0; i < list->count && i < n; i++)
        take(s, &list->tpmProperty[i]);
    Esys_Free(data);
    return ERR_OK;
}

enum err tpm_context_state(void *connection, struct tpm_state *ret)
{
    struct tpm_context *c = connection;
    struct tpm_state s = {.locked_out = false};
    TRY(take_range(c, TPM2_PT_MANUFACTURER, TPM2_PT_FIRMWARE_VERSION_2 - TPM2_PT_MANUFACTURER + 1, &s));
    TRY(take_range(c, TPM2_PT_PERMANENT, 1, &s));
    TRY(take_range(c, TPM2_PT_LOCKOUT_COUNTER, TPM2_PT_LOCKOUT_INTERVAL - TPM2_PT_LOCKOUT_COUNTER + 1, &s));
    trim(s.model);
    trim(s.manufacturer);
    *ret = s;
    return ERR_OK;
}
