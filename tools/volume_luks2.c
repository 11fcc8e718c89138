/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LUKS2 as a volume: what is shown, which keyslots are tried in which order, reading through luks2_data. */
#include "formats/luks2_data.h"
#include "formats/text.h"
#include "tools/volume.h"
#include "tools/volume_copy.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind struct volume's format. */
struct luks2_volume {
    struct luks2 l;
    struct secret key;
    unsigned n_lanes; /* initialised */
    struct luks2_data lane[VOLUME_LANES];
};

static enum err probe(const struct volume_io *io, bool *ret)
{
    enum luks2_kind kind = LUKS2_NOT_LUKS;
    TRY(luks2_probe(io, &kind));
    *ret = kind != LUKS2_NOT_LUKS;
    return ERR_OK;
}

static void set_problem(struct volume_problem *p, const struct luks2_problem *why)
{
    volume_problem_set(p, why->off, why->name[0] ? "%s (%s)" : "%s", why->what, why->name);
}

static enum err load_with(const struct volume_io *io, size_t scratch_len, struct luks2_problem *why,
                          struct luks2 *ret)
{
    void *scratch = malloc(scratch_len);
    enum err err = scratch ? luks2_load_why(io, scratch, scratch_len, why, ret) : ERR_NOMEM;
    free(scratch);
    return err;
}

static enum err load(struct volume *v, struct luks2 *l, struct volume_problem *problem)
{
    struct luks2_problem why = {.what = err_text(ERR_NOMEM), .off = LUKS2_NO_OFF};
    enum err err = load_with(&v->header_io, LUKS2_SCRATCH_USUAL, &why, l);
    /* the second copy may want more than the first one said */
    for (size_t len = LUKS2_SCRATCH_USUAL; err == ERR_FULL && why.need > len;) {
        len = why.need;
        err = load_with(&v->header_io, len, &why, l);
    }
    if (err == ERR_VERSION)
        volume_problem_set(
            problem, 0,
            "this is a LUKS1 volume, and only LUKS2 is opened here; open it with 'cryptsetup open', or "
            "back up its header and turn it into LUKS2 with 'cryptsetup convert --type luks2'");
    else if (err != ERR_OK)
        set_problem(problem, &why);
    return err;
}

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
        snprintf(p->note, sizeof p->note, "is not tried unless it is named");
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

/* Both keys are in use, and after a crash only a recovery run knows which one where. */
static const char unfinished[] =
    "it is being encrypted anew, and not done; 'cryptsetup reencrypt --resume-only' brings that to its end";

/* Data that begins at 0 lies on another device than the header; cryptsetup refuses to map the header, too. */
static bool lacks_data(const struct volume *v, const struct luks2 *l)
{
    bool one = v->header.fd < 0 || volume_image_is(&v->header, v->image.path);
    for (unsigned i = 0; i < l->n_segments && one; i++)
        if (l->segment[i].off == 0)
            return true;
    return false;
}

static const char detached[] =
    "it is a detached header without its data; name the data's device as IMAGE, and this one with --header";

/* Whether and how much of it can be decrypted is known without the key. */
static void describe_data(struct volume *v, struct luks2_volume *lv)
{
    struct luks2_problem why;
    struct luks2_data *d = &lv->lane[0];
    if (lv->l.reencrypting)
        snprintf(v->info.why_not, sizeof v->info.why_not, "%s", unfinished);
    else if (lacks_data(v, &lv->l))
        snprintf(v->info.why_not, sizeof v->info.why_not, "%s", detached);
    else if (luks2_data_init(&lv->l, &v->data_io, v->image.len, &why, d) == ERR_OK)
        v->info.size = d->size;
    else
        snprintf(v->info.why_not, sizeof v->info.why_not, why.name[0] ? "%s (%s)" : "%s", why.what, why.name);
    luks2_data_wipe(d);
}

static enum err open_volume(struct volume *v, struct volume_problem *problem)
{
    struct luks2_volume *lv = volume_alloc(sizeof *lv);
    if (!lv) {
        volume_problem_set(problem, VOLUME_NO_OFF, "%s", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    v->format = lv;
    TRY(load(v, &lv->l, problem));
    v->info.format = "LUKS2";
    text_clean(lv->l.uuid_text, strlen(lv->l.uuid_text), v->info.id, sizeof v->info.id);
    text_clean(lv->l.label, strlen(lv->l.label), v->info.label, sizeof v->info.label);
    describe_cipher(&v->info, &lv->l);
    describe_state(&v->info, &lv->l);
    describe_header(&v->info, &lv->l);
    describe_data(v, lv);
    describe_tokens(&v->info, &lv->l);
    return describe_slots(&v->info, &lv->l);
}

static bool is_argon2(const struct luks2_slot *s)
{
    return s->kdf == LUKS2_ARGON2I || s->kdf == LUKS2_ARGON2ID;
}

static unsigned index_of(const struct volume_info *info, unsigned slot)
{
    unsigned i = 0;
    while (i < info->n_protectors && info->protector[i].number != slot)
        i++;
    return i;
}

/* What volume_try() wants, one after another. */
struct list {
    struct volume_candidate *at;
    unsigned n, group;
};

/* All keyslots of a kind in the order of their priority. An Argon2 slot may want a gigabyte: one at a time.
 */
static void add(const struct volume *v, struct list *list, bool keyholt, bool argon2)
{
    const struct luks2_volume *lv = v->format;
    for (int slot = -1; luks2_next_slot(&lv->l, &slot);) {
        unsigned i = index_of(&v->info, (unsigned)slot);
        if (v->info.protector[i].keyholt != keyholt || is_argon2(&lv->l.slot[slot]) != argon2)
            continue;
        list->at[list->n++] = (struct volume_candidate){.protector = i, .group = list->group};
        list->group += argon2;
    }
    list->group++;
}

/* Cheap before costly, likely before unlikely: a recovery password belongs to a slot that Keyholt made. */
static enum err candidates(const struct volume *v, const struct volume_key *key, struct volume_candidate *ret,
                           unsigned *ret_n, struct volume_problem *problem)
{
    struct list list = {.at = ret};
    (void)problem;
    if (key->way == VOLUME_RECOVERY_PASSWORD || key->way == VOLUME_PASSPHRASE) {
        bool ours = key->way == VOLUME_RECOVERY_PASSWORD;
        add(v, &list, ours, false);
        add(v, &list, ours, true);
        add(v, &list, !ours, false);
        add(v, &list, !ours, true);
    }
    *ret_n = list.n;
    return ERR_OK;
}

static enum err attempt(const struct volume *v, const struct volume_key *key, unsigned candidate,
                        unsigned *ret_protector, struct secret *ret)
{
    const struct luks2_volume *lv = v->format;
    unsigned slot = v->info.protector[candidate].number;
    size_t area_len = luks2_area_len(&lv->l.slot[slot]);
    uint8_t *area = malloc(area_len ? area_len : 1);
    SECRET(text);
    if (!area)
        return ERR_NOMEM;
    if (key->way == VOLUME_RECOVERY_PASSWORD)
        rp_encode(key->secret.bytes, &text);
    else
        text = key->secret;
    enum err err = luks2_open_slot(&v->header_io, &lv->l, slot, text.bytes, text.len, area, area_len, ret);
    free(area);
    *ret_protector = candidate;
    return err;
}

static enum err unlock(struct volume *v, const struct secret *opened, struct volume_problem *problem)
{
    struct luks2_volume *lv = v->format;
    (void)problem;
    lv->key = *opened;
    return ERR_OK;
}

static enum err prepare(struct volume *v, unsigned lanes, struct volume_problem *problem)
{
    struct luks2_volume *lv = v->format;
    unsigned slot = v->info.protector[v->opened_by].number;
    struct luks2_problem why;
    if (lv->l.reencrypting || lacks_data(v, &lv->l)) {
        volume_problem_set(problem, VOLUME_NO_OFF, "%s", lv->l.reencrypting ? unfinished : detached);
        return ERR_UNSUPPORTED;
    }
    for (; lv->n_lanes < lanes; lv->n_lanes++) {
        struct luks2_data *d = &lv->lane[lv->n_lanes];
        enum err err = luks2_data_init(&lv->l, &v->data_io, v->image.len, &why, d);
        if (err != ERR_OK) {
            set_problem(problem, &why);
            luks2_data_wipe(d);
            return err;
        }
        err = luks2_data_key(d, slot, &lv->key);
        if (err != ERR_OK) {
            volume_problem_set(problem, VOLUME_NO_OFF, "the volume key does not fit its cipher (%s)",
                               err_text(err));
            luks2_data_wipe(d);
            return err;
        }
    }
    v->info.size = lv->lane[0].size;
    v->info.sector_size = lv->lane[0].sector_size;
    return ERR_OK;
}

static enum err read_at(const struct volume *v, unsigned lane, uint64_t off, void *buf, size_t len)
{
    struct luks2_volume *lv = v->format;
    return luks2_read(&lv->lane[lane], off, buf, len);
}

static void close_volume(struct volume *v)
{
    struct luks2_volume *lv = v->format;
    if (!lv)
        return;
    for (unsigned i = 0; i < lv->n_lanes; i++)
        luks2_data_wipe(&lv->lane[i]);
    volume_free(lv, sizeof *lv);
    v->format = NULL;
}

const struct volume_ops volume_luks2_ops = {
    .name = "LUKS2",
    .probe = probe,
    .open = open_volume,
    .candidates = candidates,
    .attempt = attempt,
    .unlock = unlock,
    .prepare = prepare,
    .read = read_at,
    .close = close_volume,
};
