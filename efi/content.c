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

void content_init(struct content *c, const struct org *org, const char *computer, uint8_t reason,
                  bool can_hand_off)
{
    memset(c, 0, sizeof *c);
    if (org) {
        set(c->org, sizeof c->org, org->name);
        set(c->message, sizeof c->message, org->message);
        set(c->url, sizeof c->url, org->url);
    }
    set(c->computer, sizeof c->computer, computer);
    set(c->reason, sizeof c->reason, reason_sentence(reason));
    c->may_copy = !org || !org->no_copying;
    c->can_hand_off = can_hand_off;
}

/* The bare envelope is as good as the address with it, for whoever scans with the right program. */
static void make_qr(struct content *c, const struct facts *f)
{
    c->qr[0] = '\0';
    if (!f->envelope)
        return;
    if (c->url[0] && qr_text_encode(c->url, f->envelope, f->envelope_len, c->qr) == ERR_OK)
        return;
    base32_encode(f->envelope, f->envelope_len, c->qr);
}

/* "laptop root, 512 GB, LUKS2, system" */
static void describe(struct sentence *s, const struct facts *f)
{
    if (f->label[0]) {
        sentence_add(s, f->label);
        sentence_add(s, ", ");
    }
    sentence_add_size(s, f->size);
    sentence_add(s, ", ");
    sentence_add(s, facts_format_name(f));
    sentence_add(s, f->os ? ", system" : ", data");
}

/* "7C41D9E2  LUKS2 system, 512 GB, laptop root": what may be cut comes last. */
static void describe_in_short(struct sentence *s, const struct facts *f)
{
    char id[9] = "--------";
    if (f->n_keys > 0)
        guid_short(&f->key[0], id);
    sentence_add(s, id);
    sentence_add(s, f->open ? "  open: " : "  ");
    sentence_add(s, facts_format_name(f));
    sentence_add(s, f->os ? " system, " : " data, ");
    sentence_add_size(s, f->size);
    sentence_add(s, f->label[0] ? ", " : "");
    sentence_add(s, f->label);
}

static void name_volume(struct content *c, const struct facts *f)
{
    struct sentence s;
    sentence_init(&s, c->volume, sizeof c->volume);
    describe(&s, f);
    sentence_add(&s, ", ");
    sentence_add(&s, f->id_text);
    set(c->mended, sizeof c->mended,
        f->mended ? "The first copy of its header is damaged; the second is used." : "");
    sentence_add(&s, f->mended ? ". " : "");
    sentence_add(&s, c->mended);
}

static void name_keys(struct content *c, const struct facts *f)
{
    struct sentence s;
    char id[9];
    c->key_id[0] = '\0';
    if (f->n_keys > 0)
        guid_short(&f->key[0], c->key_id);
    sentence_init(&s, c->also, sizeof c->also);
    for (unsigned i = 1; i < f->n_keys; i++) {
        guid_short(&f->key[i], id);
        sentence_add(&s, i == 1 ? "or " : ", ");
        sentence_add(&s, id);
    }
}

/* One line for each volume, as many as there is room for around the current one. */
static void make_list(struct content *c, const struct content_volumes *v)
{
    unsigned n = v->n < CONTENT_VOLUMES ? v->n : CONTENT_VOLUMES;
    unsigned first = v->current < n ? 0 : v->current - n + 1;
    c->n_list = v->n > 1 ? n : 0;
    c->list_at = v->current - first;
    for (unsigned i = 0; i < c->n_list; i++) {
        struct sentence s;
        sentence_init(&s, c->list[i], sizeof c->list[i]);
        sentence_add_u64(&s, first + i + 1);
        sentence_add(&s, ". ");
        describe_in_short(&s, v->at[first + i]);
    }
}

static void make_count(struct content *c, const struct content_volumes *v)
{
    struct sentence s;
    sentence_init(&s, c->count, sizeof c->count);
    c->several = v->n > 1;
    if (c->several) {
        sentence_add(&s, "Volume ");
        sentence_add_u64(&s, v->current + 1);
        sentence_add(&s, " of ");
        sentence_add_u64(&s, v->n);
        sentence_add(&s, " (Tab shows the next)");
    }
    if (v->more || v->cut_short || v->n_damaged)
        sentence_add(&s, v->n > 1 ? ". " : "");
    if (v->n_damaged) {
        sentence_add_u64(&s, v->n_damaged);
        sentence_add(&s, v->n_damaged == 1 ? " volume has a damaged header and cannot be opened. "
                                           : " volumes have damaged headers and cannot be opened. ");
    }
    if (v->more)
        sentence_add(&s, "There are more: unplug some disks to see the others.");
    else if (v->cut_short)
        sentence_add(&s, "Looking took too long: not every disk was looked at.");
}

/* What a person should know before typing. */
static const char *note_of(const struct content *c, const struct facts *f)
{
    if (f->open && !c->may_copy)
        return "This volume is open: programs of the firmware can read it until an operating system takes "
               "over.";
    if (f->open)
        return "This volume is open: U copies files from it to a USB stick. Programs of the firmware can "
               "read it "
               "until an operating system takes over.";
    if (f->suspended)
        return "Its protection is suspended: Enter opens it without any digits, to be read only.";
    if (f->format == FACTS_BITLOCKER && f->n_keys == 0)
        return "No recovery password opens this volume. A startup key does: a file .BEK on a USB stick.";
    if (f->format == FACTS_BITLOCKER && f->os)
        return "The digits are checked here, and Windows will ask for them once more: keep them at hand.";
    if (f->os && f->format == FACTS_LUKS2 && !c->can_hand_off)
        return "This computer cannot pass the password on: after this screen the system will ask for it once "
               "more. Then type the 48 digits with a dash between the groups.";
    if (!f->os && f->chip)
        return "A data volume that a security chip opens: after this screen the chip will not, until the "
               "computer is "
               "restarted (L). Opened here it can be read only.";
    if (!f->os)
        return "A data volume: opened here it can be read only; the system opens it by its own key.";
    if (f->n_keys == 0)
        return f->os && f->format == FACTS_LUKS2
                   ? "No recovery key of Keyholt's is known for it; 48 digits may open it all the same. Then "
                     "the "
                     "system may ask for them again: type them with a dash between the groups."
                   : "No recovery key of Keyholt's is known for it; 48 digits may open it all the same.";
    return "";
}

static void clear_volume(struct content *c)
{
    c->several = c->has_volume = false;
    c->n_list = c->list_at = 0;
    c->volume[0] = c->mended[0] = c->key_id[0] = c->also[0] = c->note[0] = c->qr[0] = '\0';
}

void content_set_volumes(struct content *c, const struct content_volumes *v)
{
    make_count(c, v);
    if (v->n == 0) {
        clear_volume(c);
        return;
    }
    const struct facts *f = v->at[v->current];
    c->has_volume = true;
    name_volume(c, f);
    name_keys(c, f);
    make_qr(c, f);
    make_list(c, v);
    set(c->note, sizeof c->note, note_of(c, f));
}

const char *content_step(const struct content *c, unsigned step, bool with_qr)
{
    if (step == 1)
        return "You get 48 digits in 8 groups of 6.";
    if (step == 2)
        return "Type them here; each group is checked at once.";
    if (!c->key_id[0])
        return "Call your help desk and describe this volume.";
    if (c->url[0])
        return with_qr ? "Scan the code, or open the address and give the key ID."
                       : "Open the address, or call your help desk, and give the key ID.";
    return with_qr ? "Call your help desk: read out the key ID or show the code."
                   : "Call your help desk and read out the key ID.";
}

/* Short: at 800 x 600 a line holds 93 characters. */
#define KEYS_START "B start  L boot menu  R look again  "
#define KEYS_END   "T tones  F firmware  P power off"
#define KEYS_COPY  "U copy  "

/* [several volumes][copying allowed] */
static const char *const drawn[2][2] = {
    {KEYS_START "C contrast  " KEYS_END, KEYS_START KEYS_COPY "C contrast  " KEYS_END},
    {"Tab next  " KEYS_START "C contrast  " KEYS_END,
     "Tab next  " KEYS_START KEYS_COPY "C contrast  T tones  F firmware  P off"}};
/* A terminal has room for two lines, and none for a key on one and its word on the next. */
static const char *const printed[2][2] = {
    {"S show digits  " KEYS_START "\n" KEYS_END, "S show digits  " KEYS_START KEYS_COPY "\n" KEYS_END},
    {"Tab next  S show digits  " KEYS_START "\n" KEYS_END,
     "Tab next  S show digits  " KEYS_START KEYS_COPY "\n" KEYS_END}};

const char *content_keys(const struct content *c, bool graphics)
{
    if (!c->has_volume)
        return graphics ? drawn[0][0] : KEYS_START "\n" KEYS_END;
    return (graphics ? drawn : printed)[c->several][c->may_copy];
}
