/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/volume/seal.h"
#include "agent/state/org_store.h"
#include <stdlib.h>
#include <string.h>

enum err seal_load_org(struct agent *a, struct problem *why)
{
    struct org org;
    TRY(org_store_load(a->root, &org, why));
    if (org.n_escrow == 0 || org.n_escrow > ENVELOPE_RECIPIENTS)
        return problem_set(why, ERR_RANGE,
                           "org.json names %u escrow keys, 1 to %u are possible; nothing was changed",
                           org.n_escrow, (unsigned)ENVELOPE_RECIPIENTS);
    if (!a->org)
        a->org = malloc(sizeof org);
    if (!a->org)
        return problem_set(why, ERR_NOMEM, "not enough memory; nothing was changed");
    *a->org = org;
    return ERR_OK;
}

static enum err escrow_keys(const struct org *org, struct cr_p256_pub *ret)
{
    for (unsigned i = 0; i < org->n_escrow; i++)
        TRY(cr_p256_from_spki(org->escrow[i].spki, sizeof org->escrow[i].spki, &ret[i]));
    return ERR_OK;
}

enum err seal_password(const struct agent *a, const struct guid *key_id, const struct guid *volume,
                       uint64_t time, const uint8_t password[static RP_BYTES], struct sealed *ret)
{
    struct cr_p256_pub to[ENVELOPE_RECIPIENTS];
    struct sealed s = {.len = 0};
    struct envelope head = {
        .kind = ENVELOPE_RECOVERY_PASSWORD, .key_id = *key_id, .volume = *volume, .time = time};
    memcpy(head.device, a->key.id, sizeof head.device);
    TRY(escrow_keys(a->org, to));
    TRY(envelope_seal(&head, &a->org->id, to, a->org->n_escrow, password, s.envelope, &s.len));
    TRY(envelope_commitment(password, key_id, volume, s.commitment));
    *ret = s;
    return ERR_OK;
}

bool seal_is_to_us(const struct agent *a, const struct envelope *e)
{
    if (!a->org)
        return true; /* cannot be judged */
    for (unsigned i = 0; i < e->n_recipients; i++)
        for (unsigned k = 0; k < a->org->n_escrow; k++)
            if (memcmp(e->recipient[i], a->org->escrow[k].id, sizeof e->recipient[i]) == 0)
                return true;
    return false;
}
