/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include "formats/base.h"
#include "formats/envelope.h"
#include <stdio.h>
#include <string.h>

static void tell(const struct escrow_key *k)
{
    char hex[BASE16_LEN(32) + 1];
    base16_encode(k->id, sizeof k->id, hex);
    slog(k->state == ERR_OK ? SLOG_INFO : SLOG_ERROR, "canary", "key=%.16s file=%s result=\"%s\"%s", hex,
         k->stem, err_text(k->state),
         k->state == ERR_OK ? "" : " alarm=\"envelopes sealed to this key alone cannot be opened\"");
}

static bool has(const struct vault *v, const uint8_t id[static 32])
{
    for (unsigned i = 0; i < v->n_keys; i++)
        if (memcmp(v->key[i].id, id, 32) == 0)
            return true;
    return false;
}

/* What the organisation's file names as a vault's must be here; a whole epoch may be away. */
static void look_for(struct vault *v, const struct org *org)
{
    for (unsigned i = 0; i < org->n_escrow && v->n_keys < ESCROW_KEYS; i++) {
        if (org->escrow[i].use != ORG_VAULT || has(v, org->escrow[i].id))
            continue;
        struct escrow_key *k = &v->key[v->n_keys++];
        *k = (struct escrow_key){.state = ERR_NOT_FOUND, .stem = "(none)"};
        memcpy(k->id, org->escrow[i].id, sizeof k->id);
        tell(k);
    }
}

enum err vault_keys_open(struct vault *v, const struct org *org, const struct secret *passphrase)
{
    char stem[ESCROW_KEYS][ESCROW_STEM + 1];
    unsigned n;
    TRY(escrow_key_list(NAME_ESCROW_KEYS, stem, &n));
    for (v->n_keys = 0; v->n_keys < n; v->n_keys++) {
        escrow_key_open(NAME_ESCROW_KEYS, stem[v->n_keys], &v->org, passphrase, &v->key[v->n_keys]);
        tell(&v->key[v->n_keys]);
    }
    look_for(v, org);
    return ERR_OK;
}

unsigned vault_keys_good(const struct vault *v)
{
    unsigned good = 0;
    for (unsigned i = 0; i < v->n_keys; i++)
        good += v->key[i].state == ERR_OK;
    return good;
}

bool vault_keys_in_token(const struct vault *v)
{
    for (unsigned i = 0; i < v->n_keys; i++)
        if (v->key[i].key != NULL && cr_p256_pkey(v->key[i].key) == NULL)
            return true;
    return false;
}

bool vault_keys_wait(const struct vault *v)
{
    bool away = false;
    for (unsigned i = 0; i < v->n_keys; i++)
        away = away || v->key[i].state == ERR_OFFLINE;
    return away && vault_keys_good(v) == 0;
}

enum err vault_key_for(const struct vault *v, const struct msg_blob *envelope, const struct escrow_key **ret)
{
    struct envelope e;
    enum err err = ERR_NOT_FOUND;
    TRY(envelope_decode(envelope->p, envelope->len, &e));
    for (unsigned i = 0; i < e.n_recipients; i++)
        for (unsigned j = 0; j < v->n_keys; j++) {
            if (memcmp(e.recipient[i], v->key[j].id, 32) != 0)
                continue;
            err = ERR_UNSUPPORTED;
            if (v->key[j].state != ERR_OK)
                continue;
            *ret = &v->key[j];
            return ERR_OK;
        }
    return err;
}
