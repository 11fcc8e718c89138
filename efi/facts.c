/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/facts.h"
#include "efi/plan.h"
#include "efi/sentence.h"
#include <string.h>

static void set_label(struct facts *f, const char *text)
{
    struct sentence s;
    sentence_init(&s, f->label, sizeof f->label);
    sentence_add(&s, text);
}

static void set_id(struct facts *f, const struct guid *id, const char *text)
{
    struct sentence s;
    f->id = *id;
    sentence_init(&s, f->id_text, sizeof f->id_text);
    sentence_add(&s, text);
}

/* systemd-cryptenroll and clevis bind to the chip; clevis may bind elsewhere, too, and then this is too
 * careful.
 */
static bool is_chip_token(const struct luks2_token *t)
{
    return t->there && (strcmp(t->type, "systemd-tpm2") == 0 || strcmp(t->type, "clevis") == 0);
}

void facts_of_luks2(const struct luks2 *l, const unsigned *key, unsigned n_keys, struct facts *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->format = FACTS_LUKS2;
    ret->retired = plan_is_retired(l, key, n_keys);
    ret->mended = l->from_secondary;
    set_label(ret, l->label);
    set_id(ret, &l->uuid, l->uuid_text);
    for (unsigned i = 0; i < n_keys && i < FACTS_KEYS; i++)
        ret->key[ret->n_keys++] = l->token[key[i]].key_id;
    for (unsigned t = 0; t < LUKS2_TOKENS; t++)
        ret->chip |= is_chip_token(&l->token[t]);
    if (n_keys > 0 && l->token[key[0]].envelope_len > 0) {
        ret->envelope = l->token[key[0]].envelope;
        ret->envelope_len = l->token[key[0]].envelope_len;
    }
}

void facts_of_bitlocker(const struct bitlocker *b, struct facts *ret)
{
    char id[GUID_TEXT];
    memset(ret, 0, sizeof *ret);
    ret->format = FACTS_BITLOCKER;
    ret->suspended = b->suspended;
    /* the first block is the one that Windows writes first */
    ret->mended = b->block[0].problem.what != NULL;
    set_label(ret, b->description);
    guid_encode(&b->volume_id, id);
    set_id(ret, &b->volume_id, id);
    for (unsigned i = 0; i < b->n_protectors; i++) {
        const struct bitlocker_protector *p = &b->protector[i];
        if (p->kind == BITLOCKER_RECOVERY && ret->n_keys < FACTS_KEYS)
            ret->key[ret->n_keys++] = p->key_id;
        if (p->kind == BITLOCKER_STARTUP_KEY && ret->n_startup < FACTS_KEYS)
            ret->startup[ret->n_startup++] = p->key_id;
        ret->chip |= p->kind >= BITLOCKER_TPM && p->kind <= BITLOCKER_TPM_PIN_STARTUP_KEY;
    }
}

const char *facts_format_name(const struct facts *f)
{
    return f->format == FACTS_BITLOCKER ? "BitLocker" : "LUKS2";
}

int facts_rank(const struct facts *f)
{
    if (f->retired)
        return 3;
    if (f->n_keys == 0)
        return 2;
    return f->os ? 0 : 1;
}

const struct facts *facts_left_to_chip(const struct facts *const *at, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (at[i]->chip && !at[i]->os && !at[i]->retired)
            return at[i];
    return NULL;
}

static bool has(const struct guid *list, unsigned n, const struct guid *id)
{
    for (unsigned i = 0; i < n; i++)
        if (guid_equal(&list[i], id))
            return true;
    return false;
}

bool facts_have_key(const struct facts *f, const struct guid *key_id)
{
    return has(f->key, f->n_keys, key_id);
}

bool facts_have_startup_key(const struct facts *f, const struct guid *key_id)
{
    return has(f->startup, f->n_startup, key_id);
}
