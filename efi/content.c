/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "efi/content.h"
#include "efi/sentence.h"
#include <string.h>

static void set(char *to, size_t cap, const char *text)
{
    struct sentence s;
    sentence_init(&s, to, cap);
    sentence_add(&s, text);
}

static const char *reason_sentence(uint8_t reason)
{
    switch (reason) {
    case KH_REASON_PASSPHRASE:
        return "Recovery was started because the passphrase was not accepted.";
    case KH_REASON_TPM:
        return "Recovery was started because this computer's security chip (TPM) did not release the key.";
    case KH_REASON_USER:
        return "Recovery was started at your request.";
    case KH_REASON_HELPDESK:
        return "Recovery was started at the request of your help desk.";
    default:
        return "The disk of this computer is locked. A recovery password opens it.";
    }
}

void content_init(struct content *c, const struct org *org, uint8_t reason, bool can_hand_off)
{
    memset(c, 0, sizeof *c);
    if (org) {
        set(c->org, sizeof c->org, org->name);
        set(c->message, sizeof c->message, org->message);
        set(c->url, sizeof c->url, org->url);
    }
    set(c->reason, sizeof c->reason, reason_sentence(reason));
    if (!can_hand_off)
        set(c->note, sizeof c->note,
            "This computer cannot pass the password on: after this screen the system will ask for it once "
            "more. "
            "Then type the 48 digits with a dash between the groups.");
}

/* The bare envelope is as good as the address with it, for whoever scans with the right program. */
static void make_qr(struct content *c, const struct luks2_token *t)
{
    c->qr[0] = '\0';
    if (t->envelope_len == 0)
        return;
    if (c->url[0] && qr_text_encode(c->url, t->envelope, t->envelope_len, c->qr) == ERR_OK)
        return;
    base32_encode(t->envelope, t->envelope_len, c->qr);
}

static void name_volume(struct content *c, const struct content_volume *v)
{
    struct sentence s;
    sentence_init(&s, c->volume, sizeof c->volume);
    if (v->luks->label[0]) {
        sentence_add(&s, v->luks->label);
        sentence_add(&s, ", ");
    }
    sentence_add_size(&s, v->size);
    sentence_add(&s, ", ");
    sentence_add(&s, v->luks->uuid_text);
    if (v->luks->from_secondary)
        sentence_add(&s, " (the first copy of its header is damaged; the second is used)");
}

static void name_keys(struct content *c, const struct content_volume *v)
{
    struct sentence s;
    char id[9];
    guid_short(&v->luks->token[v->key[0]].key_id, c->key_id);
    sentence_init(&s, c->also, sizeof c->also);
    for (unsigned i = 1; i < v->n_keys; i++) {
        guid_short(&v->luks->token[v->key[i]].key_id, id);
        sentence_add(&s, i == 1 ? "or " : ", ");
        sentence_add(&s, id);
    }
}

void content_set_volume(struct content *c, const struct content_volume *v)
{
    struct sentence s;
    name_volume(c, v);
    name_keys(c, v);
    make_qr(c, &v->luks->token[v->key[0]]);
    sentence_init(&s, c->count, sizeof c->count);
    c->several = v->count > 1;
    if (c->several) {
        sentence_add(&s, "Volume ");
        sentence_add_u64(&s, v->index + 1);
        sentence_add(&s, " of ");
        sentence_add_u64(&s, v->count);
        sentence_add(&s, " (Tab shows the next)");
    }
    if (v->more || v->cut_short)
        sentence_add(&s, v->count > 1 ? ". " : "");
    if (v->more)
        sentence_add(&s, "There are more: unplug some disks to see the others.");
    else if (v->cut_short)
        sentence_add(&s, "Looking took too long: not every disk was looked at.");
}

void content_clear_volume(struct content *c)
{
    c->several = false;
    c->volume[0] = c->key_id[0] = c->also[0] = c->count[0] = c->qr[0] = '\0';
}

const char *content_step(const struct content *c, unsigned step, bool with_qr)
{
    if (step == 1)
        return "You get 48 digits in 8 groups of 6.";
    if (step == 2)
        return "Type them here; each group is checked at once.";
    if (c->url[0])
        return with_qr ? "Scan the code, or open the address and give the key ID."
                       : "Open the address, or call your help desk, and give the key ID.";
    return with_qr ? "Call your help desk: read out the key ID or show the code."
                   : "Call your help desk and read out the key ID.";
}

const char *content_keys(const struct content *c, bool graphics)
{
    if (c->several)
        return graphics
                   ? "Tab next volume    B start without opening    P power off    R look for disks again"
                   : "Tab next volume    S show digits    B start without opening    P power off    "
                     "R look for disks again";
    return graphics || !c->key_id[0]
               ? "B start without opening    P power off    R look for disks again"
               : "S show digits    B start without opening    P power off    R look for disks again";
}
