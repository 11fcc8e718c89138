/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "formats/text.h"
#include "tools/volume_describe.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *cipher_of(uint8_t cipher)
{
    switch (cipher) {
    case LUKS2_XTS_PLAIN64:
    case LUKS2_XTS_PLAIN:
        return "AES-XTS";
    case LUKS2_CBC_ESSIV:
    case LUKS2_CBC_PLAIN64:
    case LUKS2_CBC_PLAIN:
        return "AES-CBC";
    default:
        return NULL;
    }
}

/* "AES-XTS 256" counts the bits of one AES key; XTS has two. */
static void describe_cipher(struct volume_info *info, const struct luks2 *l)
{
    const struct luks2_segment *s = NULL;
    for (unsigned i = 0; i < l->n_segments && !s; i++)
        if (l->segment[i].crypt)
            s = &l->segment[i];
    if (!s)
        return;
    const char *name = cipher_of(s->cipher);
    bool xts = s->cipher == LUKS2_XTS_PLAIN64 || s->cipher == LUKS2_XTS_PLAIN;
    info->key_bits = 8 * s->key_size / (xts ? 2 : 1);
    info->sector_size = s->sector_size;
    snprintf(info->cipher_name, sizeof info->cipher_name, "%s", s->cipher_name);
    if (name)
        snprintf(info->cipher, sizeof info->cipher, "%s %u", name, info->key_bits);
    else
        snprintf(info->cipher, sizeof info->cipher, "%s", s->cipher_name);
}

static void describe_state(struct volume_info *info, const struct luks2 *l)
{
    bool crypt = false;
    for (unsigned i = 0; i < l->n_segments; i++)
        crypt = crypt || l->segment[i].crypt;
    info->state = l->reencrypting ? "re-encrypting" : crypt ? "encrypted" : "clear";
    snprintf(info->state_text, sizeof info->state_text, "%s",
             l->reencrypting
                 ? "being encrypted anew, and not done; 'cryptsetup reencrypt --resume-only' goes on"
             : crypt ? "encrypted"
                     : "in clear: no part of it is encrypted");
}

static void describe_header(struct volume_info *info, const struct luks2 *l)
{
    snprintf(info->header, sizeof info->header, "%s",
             l->from_secondary ? "the primary header is damaged; this is the secondary one" : "");
}

/* What a keyslot is for, by the token that names it. Most hold a passphrase and have none. */
static void describe_by_token(struct volume_protector *p, const struct luks2_token *t)
{
    static const struct {
        const char *token, *type, *why_not;
    } known[] = {
        {"systemd-tpm2", "TPM 2.0", "its secret comes from the computer's TPM (systemd-tpm2)"},
        {"systemd-fido2", "FIDO2 token", "its secret comes from a FIDO2 token (systemd-fido2)"},
        {"systemd-pkcs11", "smart card", "its secret comes from a smart card (systemd-pkcs11)"},
        {"systemd-recovery", "recovery key", ""}, /* a passphrase that systemd made */
        {"clevis", "Clevis", "its secret comes from what Clevis was bound to"},
    };
    if (t->used) {
        static const char *const state[] = {"", "", "", "retired: it is about to be replaced"};
        p->keyholt = p->recovery = p->has_key_id = true;
        p->key_id = t->key_id;
        snprintf(p->type, sizeof p->type, "recovery password");
        snprintf(p->note, sizeof p->note, "%s", t->state == LUKS2_TOKEN_RETIRED ? state[3] : "");
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(t->type, known[i].token) == 0) {
            snprintf(p->type, sizeof p->type, "%s", known[i].type);
            snprintf(p->why_not, sizeof p->why_not, "%s", known[i].why_not);
            return;
        }
    snprintf(p->note, sizeof p->note, "token %s", t->type);
}

static void describe_slot(const struct luks2 *l, unsigned number, struct volume_protector *p)
{
    const struct luks2_slot *s = &l->slot[number];
    p->number = number;
    snprintf(p->type, sizeof p->type, "passphrase");
    snprintf(p->kdf.name, sizeof p->kdf.name, "%s", s->kdf_name);
    snprintf(p->kdf.hash, sizeof p->kdf.hash, "%s", s->hash_name);
    p->kdf.iterations = s->iterations;
    p->kdf.memory_kib = s->memory_kib;
    p->kdf.lanes = s->lanes;
    if (s->priority == LUKS2_IGNORE)
        snprintf(p->note, sizeof p->note, "it is not tried unless it is named by --keyslot");
    for (unsigned i = 0; i < LUKS2_TOKENS; i++)
        if (l->token[i].there && l->token[i].slots & (uint32_t)1 << number)
            describe_by_token(p, &l->token[i]);
    if (strcmp(s->type, "luks2") != 0)
        snprintf(p->type, sizeof p->type, "%s", s->type);
    if (s->unbound)
        snprintf(p->why_not, sizeof p->why_not,
                 "it holds a key of its own, which decrypts nothing of this volume");
    if (!s->supported && s->why_not)
        snprintf(p->why_not, sizeof p->why_not, "%s", s->why_not);
}

static enum err describe_slots(struct volume_info *info, const struct luks2 *l)
{
    info->protector = calloc(LUKS2_SLOTS, sizeof *info->protector);
    if (!info->protector)
        return ERR_NOMEM;
    for (unsigned i = 0; i < LUKS2_SLOTS; i++)
        if (l->slot[i].used)
            describe_slot(l, i, &info->protector[info->n_protectors++]);
    return ERR_OK;
}

static void describe_tokens(struct volume_info *info, const struct luks2 *l)
{
    static const char *const states[] = {NULL, "pending", "live", "retired"};
    for (unsigned i = 0; i < LUKS2_TOKENS; i++) {
        const struct luks2_token *t = &l->token[i];
        if (!t->there)
            continue;
        struct volume_token *out = &info->token[info->n_tokens++];
        out->number = i;
        out->slots = t->slots;
        snprintf(out->type, sizeof out->type, "%s", t->type);
        out->has_key_id = t->used;
        if (t->used) {
            out->key_id = t->key_id;
            out->state = t->state <= LUKS2_TOKEN_RETIRED ? states[t->state] : NULL;
        }
    }
}

enum err volume_describe_luks2(const struct luks2 *l, struct volume_info *info)
{
    info->format = "LUKS2";
    text_clean(l->uuid_text, strlen(l->uuid_text), info->id, sizeof info->id);
    text_clean(l->label, strlen(l->label), info->label, sizeof info->label);
    describe_cipher(info, l);
    describe_state(info, l);
    describe_header(info, l);
    describe_tokens(info, l);
    return describe_slots(info, l);
}
