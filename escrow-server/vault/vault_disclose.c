/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include "formats/base.h"
#include "formats/envelope.h"
#include "formats/recovery_password.h"
#include "formats/text.h"
#include <stdio.h>
#include <string.h>

#define PREFIX_MIN 8 /* digits that the recovery screen shows first */
#define LOG_BROKEN "The vault's audit log cannot be written (%s), and nothing is disclosed without an entry."

/* What the entry of this request says, whatever comes of it. */
static void describe(const struct msg_disclose *d, struct audit_entry *ret)
{
    struct envelope e;
    *ret = (struct audit_entry){.time = vault_now()};
    text_clean(d->who, strlen(d->who), ret->who, sizeof ret->who);
    if (ret->who[0] == '\0')
        snprintf(ret->who, sizeof ret->who, "?");
    snprintf(ret->role, sizeof ret->role, "-");
    text_clean(d->reason, strlen(d->reason), ret->reason, sizeof ret->reason);
    if (d->found.n != 1 ||
        envelope_decode(d->found.item[0].envelope.p, d->found.item[0].envelope.len, &e) != ERR_OK)
        return;
    guid_encode(&e.key_id, ret->key_id);
    guid_encode(&e.volume, ret->volume);
    base16_encode(e.device, sizeof e.device, ret->device);
}

static void set_detail(struct audit_entry *a, const char *what, const struct msg_disclose *d)
{
    char text[AUDIT_TEXT + 1];
    int n = d->user[0] != '\0'
                ? snprintf(text, sizeof text, "%s asked=%s" DETAIL_USER "%s", what, d->asked, d->user)
                : snprintf(text, sizeof text, "%s asked=%s", what, d->asked);
    text_clean(text, n > 0 ? strlen(text) : 0, a->detail, sizeof a->detail);
}

static enum err refuse(struct vault *v, const struct msg_disclose *d, struct audit_entry *a, enum err e,
                       const char *why)
{
    set_detail(a, why, d);
    return vault_refuse(v, a, e, why);
}

/* The store's answer came through a web worker: it must be the key that the person asked for. */
static bool is_asked_for(const struct msg_disclose *d)
{
    struct envelope e;
    char key[GUID_TEXT];
    if (envelope_decode(d->found.item[0].envelope.p, d->found.item[0].envelope.len, &e) != ERR_OK)
        return false;
    guid_encode(&e.key_id, key);
    return strncmp(key, d->asked, strlen(d->asked)) == 0;
}

static enum err check_key(struct vault *v, const struct msg_disclose *d, struct audit_entry *a,
                          char *ret_detail, const struct escrow_key **ret)
{
    if (d->found.n == 0) {
        snprintf(ret_detail, MSG_DETAIL,
                 "No key with the ID %s is known here; compare it with the screen once more.", d->asked);
        return refuse(v, d, a, ERR_NOT_FOUND, "unknown key");
    }
    if (d->found.n > 1 || strlen(d->asked) < PREFIX_MIN) {
        snprintf(ret_detail, MSG_DETAIL,
                 "\"%s\" %s; nothing was disclosed. Ask for the whole key ID, or name the device.", d->asked,
                 d->found.n > 1 ? "fits several keys" : "is too short for a key ID");
        return refuse(v, d, a, ERR_CONFLICT, "several keys fit");
    }
    if (!is_asked_for(d)) {
        snprintf(
            ret_detail, MSG_DETAIL,
            "The envelope that was found is not of the key %s; nothing was disclosed. The web worker that "
            "brought it may be taken over.",
            d->asked);
        slog(SLOG_ERROR, "disclose", "refused=\"a web worker brought another key than was asked for\"");
        return refuse(v, d, a, ERR_CONFLICT, "another key than asked for");
    }
    enum err e = vault_key_for(v, &d->found.item[0].envelope, ret);
    if (e == ERR_OK)
        return ERR_OK;
    bool away = e == ERR_UNSUPPORTED;
    snprintf(ret_detail, MSG_DETAIL, "%s; the offline desk may be able to open it.",
             away ? "The escrow key that this envelope is sealed to cannot be opened by this vault (see "
                    "keyholt-server keys)"
                  : "The envelope of this key is not sealed to a key of this vault");
    return refuse(v, d, a, ERR_UNSUPPORTED, away ? "escrow key not opened" : "not sealed to this vault");
}

/* The envelope is opened only behind a durable entry. */
static enum err open_envelope(struct vault *v, const struct msg_disclose *d, const struct escrow_key *k,
                              struct audit_entry *a, struct msg_opened *ret, char *ret_detail)
{
    const struct msg_blob *b = &d->found.item[0].envelope;
    SECRET(password);
    SECRET(digits);
    enum err e = envelope_open(b->p, b->len, &v->org, k->key, &password);
    if (e == ERR_OFFLINE) { /* a token; it can only be opened anew by a process that is not confined yet */
        child_stopping = 1;
        snprintf(ret_detail, MSG_DETAIL,
                 "The token that has the escrow key does not answer; the vault starts again, so try "
                 "in a minute.");
        return refuse(v, d, a, e, "the token does not answer");
    }
    if (e != ERR_OK) {
        snprintf(ret_detail, MSG_DETAIL,
                 "The envelope does not open or does not yield the password it commits to; it was damaged or "
                 "forged.");
        return refuse(v, d, a, ERR_AUTH, "the envelope does not open");
    }
    rp_encode(password.bytes, &digits);
    memcpy(ret->digits, digits.bytes, sizeof ret->digits);
    return ERR_OK;
}

static void make_entry(const struct vault *v, const struct audit_entry *a, const struct msg_disclose *d,
                       uint64_t n, struct msg_entry *ret)
{
    struct envelope e;
    *ret = (struct msg_entry){.n = n, .time = a->time};
    snprintf(ret->chain, sizeof ret->chain, "%s", v->seen.chain);
    snprintf(ret->who, sizeof ret->who, "%s", d->who);
    if (envelope_decode(d->found.item[0].envelope.p, d->found.item[0].envelope.len, &e) != ERR_OK)
        return; /* it was decoded before */
    ret->key_id = e.key_id;
    ret->volume = e.volume;
    memcpy(ret->device, e.device, sizeof ret->device);
}

/* The refusal is what a second person approves. other: a wish of his for this key that was approved, with
 * other words; 0: none */
static enum err want_approval(struct vault *v, struct audit_entry *a, uint64_t other, uint64_t *ret_n,
                              char *ret_detail)
{
    size_t len = strlen(a->note);
    snprintf(a->action, sizeof a->action, "%s", AUDIT_REFUSE);
    snprintf(a->note + len, sizeof a->note - len, "%s" NOTE_WANTED, len > 0 ? " " : "");
    enum err e = vault_log_append(v, a, ret_n);
    if (e != ERR_OK) {
        snprintf(ret_detail, MSG_DETAIL, LOG_BROKEN, err_text(e));
        return ERR_IO;
    }
    vault_wish_add(v, a, *ret_n);
    v->refusal = REFUSAL_APPROVAL;
    int n = other == 0
                ? 0
                : snprintf(ret_detail, MSG_DETAIL,
                           "Entry %llu was approved for another reason or user, so this is a new request. ",
                           (unsigned long long)other);
    snprintf(
        ret_detail + n, (size_t)(MSG_DETAIL - n),
        "The role %s needs a second person: let an advanced or an administrator run keyholt-server approve "
        "--entry %llu, and ask again with the same words within an hour.",
        a->role, (unsigned long long)*ret_n);
    return ERR_BUSY;
}

static enum err write_entry(struct vault *v, const struct msg_disclose *d, struct audit_entry *a,
                            struct msg_entry *ret, char *ret_detail)
{
    uint64_t n;
    snprintf(a->action, sizeof a->action, "%s", AUDIT_DISCLOSE);
    set_detail(a, "recover", d);
    enum err e = vault_log_append(v, a, &n);
    if (e != ERR_OK) {
        snprintf(ret_detail, MSG_DETAIL, LOG_BROKEN, err_text(e));
        return ERR_IO;
    }
    make_entry(v, a, d, n, ret);
    return vault_memory_disclosed(v, ret);
}

/* An approval counts once, and is used with the entry. */
static enum err use_approval(struct vault *v, const struct msg_disclose *d, struct audit_entry *a,
                             uint64_t *ret_approved, uint64_t *ret_wanted, char *ret_detail)
{
    uint64_t other;
    set_detail(a, "approval needed", d);
    *ret_approved = vault_approved(v, a, &other);
    if (*ret_approved == 0)
        return want_approval(v, a, other, ret_wanted, ret_detail);
    size_t len = strlen(a->note);
    snprintf(a->note + len, sizeof a->note - len, "%s" NOTE_APPROVAL "%llu", len > 0 ? " " : "",
             (unsigned long long)*ret_approved);
    return ERR_OK;
}

enum err vault_disclose(struct vault *v, const struct msg_disclose *d, struct msg_opened *ret,
                        char *ret_detail)
{
    struct audit_entry a;
    const struct escrow_key *k;
    const char *why;
    struct vault_asker asker = {.step = 0};
    uint64_t approved = 0;
    describe(d, &a);
    enum err e = vault_log_ready(v);
    if (e != ERR_OK) {
        snprintf(ret_detail, MSG_DETAIL, LOG_BROKEN, err_text(e));
        slog(SLOG_ERROR, "disclose", "refused=\"no audit log\" reason=\"%s\"", err_text(e));
        return ERR_IO;
    }
    e = vault_person(v, d, &asker, &why, ret_detail);
    vault_note_step(&a, &asker);
    if (e == ERR_BUSY || e == ERR_IO)
        return e; /* no entry for every try of somebody who only fills the log */
    if (e != ERR_OK)
        return refuse(v, d, &a, e, why);
    snprintf(a.role, sizeof a.role, "%s", people_role_text(asker.role));
    TRY(check_key(v, d, &a, ret_detail, &k));
    if (vault_quota(v, d->who, ret_detail) != ERR_OK) {
        v->refusal = REFUSAL_QUOTA;
        return refuse(v, d, &a, ERR_BUSY, "quota");
    }
    if (vault_needs_approval(v, asker.role))
        TRY(use_approval(v, d, &a, &approved, &ret->entry.n, ret_detail));
    TRY(write_entry(v, d, &a, &ret->entry, ret_detail));
    vault_wish_end(v, approved);
    return open_envelope(v, d, k, &a, ret, ret_detail);
}

void vault_since(const struct vault *v, uint64_t from, struct msg_entries *ret)
{
    *ret = (struct msg_entries){.next = from};
    while (ret->next < v->n_disclosed && ret->n < MSG_ENTRIES_MAX)
        ret->item[ret->n++] = v->disclosed[ret->next++];
    ret->more = ret->next < v->n_disclosed;
}
