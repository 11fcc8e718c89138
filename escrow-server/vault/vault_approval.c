/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include "formats/text.h"
#include <stdio.h>
#include <string.h>

/* Where a role needs a second person: the first request is refused, on record, and can be approved; within an
 * hour of that the same person may read that key once, for the same reason and user. All of it stands in the
 * log and is read back from it. */

static bool is_listed(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += len)
        if ((at == list || strchr(", ", at[-1]) != NULL) && strchr(", ", at[len]) != NULL) /* also the end */
            return true;
    return false;
}

bool vault_needs_approval(const struct vault *v, enum people_role role)
{
    return is_listed(v->conf.approval, people_role_text(role));
}

/* Where nobody knows when it was, it is over: asking again costs little. */
static bool is_open(const struct vault *v, const struct vault_wish *w)
{
    if (w->is.n == 0 || w->at == 0 || w->at > v->n_marks || v->mark[w->is.n - 1].erased)
        return false;
    const struct vault_mark *m = &v->mark[w->at - 1];
    return !m->ahead && vault_age(m) < VAULT_APPROVAL_S;
}

static const char *user_of(const struct audit_entry *a)
{
    const char *at = strstr(a->detail, DETAIL_USER);
    return at != NULL ? at + strlen(DETAIL_USER) : "";
}

void vault_wish_add(struct vault *v, const struct audit_entry *a, uint64_t n)
{
    struct vault_wish *w = &v->wish[0];
    for (unsigned i = 0; i < VAULT_WISHES; i++) /* the oldest makes room */
        if (v->wish[i].at < w->at)
            w = &v->wish[i];
    *w = (struct vault_wish){.is.n = n, .at = n};
    snprintf(w->is.who, sizeof w->is.who, "%.*s", MSG_NAME, a->who);
    snprintf(w->is.reason, sizeof w->is.reason, "%.*s", MSG_REASON, a->reason);
    snprintf(w->is.user, sizeof w->is.user, "%.*s", MSG_USER, user_of(a));
    snprintf(w->is.key_id, sizeof w->is.key_id, "%s", a->key_id);
    snprintf(w->is.volume, sizeof w->is.volume, "%s", a->volume);
    snprintf(w->is.device, sizeof w->is.device, "%s", a->device);
}

/* Key IDs are not unique: the laptop has to be the same, too. */
static bool is_same_key(const struct msg_wish *w, const struct audit_entry *a)
{
    return strcmp(w->who, a->who) == 0 && strcmp(w->key_id, a->key_id) == 0 &&
           strcmp(w->volume, a->volume) == 0 && strcmp(w->device, a->device) == 0;
}

uint64_t vault_approved(const struct vault *v, const struct audit_entry *a, uint64_t *ret_other)
{
    *ret_other = 0;
    for (unsigned i = 0; i < VAULT_WISHES; i++) {
        const struct vault_wish *w = &v->wish[i];
        if (!is_open(v, w) || !w->is.approved || !is_same_key(&w->is, a))
            continue;
        if (strcmp(w->is.reason, a->reason) == 0 && strcmp(w->is.user, user_of(a)) == 0)
            return w->is.n;
        *ret_other = w->is.n;
    }
    return 0;
}

void vault_wish_end(struct vault *v, uint64_t n)
{
    for (unsigned i = 0; i < VAULT_WISHES; i++)
        if (n != 0 && v->wish[i].is.n == n)
            v->wish[i] = (struct vault_wish){.at = 0};
}

static void mark_approved(struct vault *v, uint64_t n, uint64_t at)
{
    for (unsigned i = 0; i < VAULT_WISHES; i++)
        if (n != 0 && v->wish[i].is.n == n) {
            v->wish[i].is.approved = true;
            v->wish[i].at = at;
        }
}

void vault_approval_take(struct vault *v, const struct audit_entry *a)
{
    unsigned long long n;
    const char *at;
    if (!a->erased && strcmp(a->action, AUDIT_REFUSE) == 0 && strstr(a->note, NOTE_WANTED) != NULL)
        vault_wish_add(v, a, a->n);
    else if (strcmp(a->action, AUDIT_APPROVE) == 0 && (at = strstr(a->note, NOTE_APPROVES)) != NULL &&
             sscanf(at + strlen(NOTE_APPROVES), "%llu", &n) == 1)
        mark_approved(v, n, a->n);
    else if (strcmp(a->action, AUDIT_DISCLOSE) == 0 && (at = strstr(a->note, NOTE_APPROVAL)) != NULL &&
             sscanf(at + strlen(NOTE_APPROVAL), "%llu", &n) == 1)
        vault_wish_end(v, n);
}

static enum err none(uint64_t n, char *ret_detail)
{
    snprintf(ret_detail, MSG_DETAIL,
             "There is no request of the last hour with the number %llu that waits for an approval.",
             (unsigned long long)n);
    return ERR_NOT_FOUND;
}

static enum err check(const struct vault_wish *w, const struct msg_approve *m, enum people_role role,
                      char *ret_detail)
{
    if (w == NULL || w->is.approved)
        return none(m->n, ret_detail);
    snprintf(ret_detail, MSG_DETAIL, "Nobody approves a request of his own.");
    if (strcmp(w->is.who, m->who) == 0)
        return ERR_DENIED;
    snprintf(ret_detail, MSG_DETAIL, "The role %s may not approve; an advanced or an administrator may.",
             people_role_text(role));
    return role == PEOPLE_ADVANCED || role == PEOPLE_ADMINISTRATOR ? ERR_OK : ERR_DENIED;
}

static struct vault_wish *find(struct vault *v, uint64_t n)
{
    for (unsigned i = 0; i < VAULT_WISHES; i++)
        if (v->wish[i].is.n == n && is_open(v, &v->wish[i]))
            return &v->wish[i];
    return NULL;
}

/* The wish that is approved by this. */
static enum err may(struct vault *v, const struct msg_approve *m, struct audit_entry *a,
                    struct vault_wish **ret, char *ret_detail)
{
    struct vault_asker asker;
    text_clean(m->who, strlen(m->who), a->who, sizeof a->who);
    TRY(vault_step_up(v, m->who, &m->password, m->code, &asker, ret_detail));
    snprintf(a->role, sizeof a->role, "%s", people_role_text(asker.role));
    vault_note_step(a, &asker);
    *ret = find(v, m->n);
    enum err e = check(*ret, m, asker.role, ret_detail);
    if (e == ERR_DENIED)
        v->refusal = REFUSAL_ROLE;
    return e;
}

enum err vault_wish_show(struct vault *v, uint64_t n, struct msg_wish *ret, char *ret_detail)
{
    TRY(vault_log_wanted(v, ret_detail));
    const struct vault_wish *w = find(v, n);
    if (w == NULL)
        return none(n, ret_detail);
    *ret = w->is;
    return ERR_OK;
}

enum err vault_approve(struct vault *v, const struct msg_approve *m, struct msg_wish *ret, char *ret_detail)
{
    struct audit_entry a = {.time = vault_now()};
    struct vault_wish *w = NULL;
    char text[64];
    uint64_t n;
    TRY(vault_log_wanted(v, ret_detail));
    enum err e = may(v, m, &a, &w, ret_detail);
    if (e != ERR_OK) {
        snprintf(text, sizeof text, "approval of entry %llu", (unsigned long long)m->n);
        return vault_refuse_word(v, &a, e, text, ret_detail);
    }
    snprintf(a.action, sizeof a.action, "%s", AUDIT_APPROVE);
    snprintf(a.key_id, sizeof a.key_id, "%s", w->is.key_id);
    snprintf(a.volume, sizeof a.volume, "%s", w->is.volume);
    snprintf(a.device, sizeof a.device, "%s", w->is.device);
    size_t len = strlen(a.note);
    snprintf(a.note + len, sizeof a.note - len, "%s" NOTE_APPROVES "%llu", len > 0 ? " " : "",
             (unsigned long long)m->n);
    snprintf(ret_detail, MSG_DETAIL, "The vault's audit log cannot be written; nothing was approved.");
    if (vault_log_append(v, &a, &n) != ERR_OK)
        return ERR_IO;
    w->is.approved = true;
    w->at = n;
    *ret = w->is;
    return ERR_OK;
}
