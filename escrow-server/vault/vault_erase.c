/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include "formats/text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Personal parts are erased at an administrator's word: the order stands in the vault's log before anything
 * goes, so that an entry without its personal part and without an order is a finding. */

/* "chain=HEX entries=1,2,3" */
static enum err read_order(struct vault *v, const char *note)
{
    char chain[33];
    int off = 0;
    if (sscanf(note, "chain=%32[0-9a-f] entries=%n", chain, &off) != 1 || off == 0)
        return ERR_FORMAT;
    for (const char *at = note + off; *at != '\0' && *at != ' ';) {
        char *end = NULL;
        unsigned long long n = strtoull(at, &end, 10);
        if (end == at || strchr(", ", *end) == NULL)
            return ERR_FORMAT;
        TRY(vault_memory_order(v, chain, n));
        at = end + (*end == ',');
    }
    return ERR_OK;
}

enum err vault_erase_take(struct vault *v, const struct audit_entry *a)
{
    if (strcmp(a->action, AUDIT_ERASE) != 0)
        return ERR_OK;
    size_t from = v->n_orders;
    enum err e = read_order(v, a->note);
    for (size_t i = from; i < v->n_orders; i++) /* of this chain, whose entries came before */
        v->order[i].done = strcmp(v->order[i].chain, a->chain) == 0 && v->order[i].n > 0 &&
                           v->order[i].n <= v->n_marks && v->mark[v->order[i].n - 1].erased;
    return e == ERR_NOMEM ? e : ERR_OK;
}

void vault_erase_seen(struct vault *v, const struct audit_entry *a)
{
    for (size_t i = 0; a->erased && i < v->n_orders; i++)
        if (v->order[i].n == a->n && strcmp(v->order[i].chain, a->chain) == 0)
            v->order[i].done = true;
}

static enum err path_of(const struct vault *v, const char *chain, char ret[static VAULT_FOREIGN_PATH])
{
    if (strcmp(chain, v->seen.chain) != 0)
        return vault_foreign_path(chain, ret);
    snprintf(ret, VAULT_FOREIGN_PATH, "%s", NAME_AUDIT);
    return ERR_OK;
}

static void forget(struct vault *v, const char *chain, uint64_t n)
{
    for (size_t i = 0; i < v->n_disclosed; i++)
        if (v->disclosed[i].n == n && strcmp(v->disclosed[i].chain, chain) == 0)
            v->disclosed[i].who[0] = '\0';
    if (strcmp(chain, v->seen.chain) == 0 && n > 0 && n <= v->n_marks)
        v->mark[n - 1].erased = true;
}

/* What a crash left undone. */
void vault_erase_finish(struct vault *v)
{
    char path[VAULT_FOREIGN_PATH];
    unsigned n;
    for (size_t i = 0; i < v->n_orders; i++) {
        struct vault_order *o = &v->order[i];
        if (o->done || path_of(v, o->chain, path) != ERR_OK)
            continue;
        o->done = audit_erase(path, &o->n, 1, &n) == ERR_OK;
        slog(SLOG_INFO, "erase", "chain=%s entry=%llu finished=%d", o->chain, (unsigned long long)o->n,
             o->done);
        if (o->done)
            forget(v, o->chain, o->n);
    }
}

struct ages {
    const struct vault *v;
    const struct msg_erase *e;
    unsigned there;
    bool too_young;
};

static enum err look(void *ctx, const struct audit_entry *a, const char *line, size_t len)
{
    struct ages *ages = ctx;
    const struct vault_mark *m = vault_memory_mark_of(ages->v, ages->e->chain, a->n);
    (void)line, (void)len;
    for (unsigned i = 0; i < ages->e->count; i++)
        if (ages->e->n[i] == a->n) {
            ages->there++;
            ages->too_young = ages->too_young || m == NULL || vault_age(m) < VAULT_ERASE_AFTER_S;
        }
    return ERR_OK;
}

/* Whoever took a web worker over and has an administrator's password cannot hide what he does now. */
static enum err check(const struct vault *v, const struct msg_erase *e, const char *path, char *ret_detail)
{
    struct ages ages = {.v = v, .e = e};
    struct audit_head head;
    size_t torn;
    snprintf(ret_detail, MSG_DETAIL, "There is no such chain, or not every entry of it that was named.");
    TRY(audit_verify(path, look, &ages, &head, &torn));
    if (ages.there != e->count)
        return ERR_NOT_FOUND;
    snprintf(ret_detail, MSG_DETAIL, "Entries of the last %d hours are not erased.",
             VAULT_ERASE_AFTER_S / 3600);
    return ages.too_young ? ERR_DENIED : ERR_OK;
}

static enum err write_order(struct vault *v, const struct msg_erase *e, struct audit_entry *a)
{
    uint64_t n;
    char step[AUDIT_WORD];
    snprintf(step, sizeof step, "%s%.*s", a->note[0] != '\0' ? " " : "", AUDIT_WORD - 2, a->note);
    size_t len = (size_t)snprintf(a->note, sizeof a->note, "chain=%s entries=", e->chain);
    for (unsigned i = 0; i < e->count && len < sizeof a->note; i++)
        len += (size_t)snprintf(a->note + len, sizeof a->note - len, "%s%llu", i == 0 ? "" : ",",
                                (unsigned long long)e->n[i]);
    if (len < sizeof a->note)
        len += (size_t)snprintf(a->note + len, sizeof a->note - len, "%s", step);
    if (len >= sizeof a->note)
        return ERR_RANGE;
    snprintf(a->action, sizeof a->action, "%s", AUDIT_ERASE);
    return vault_log_append(v, a, &n);
}

static enum err may(struct vault *v, const struct msg_erase *e, struct audit_entry *a, char *ret_detail)
{
    struct vault_asker asker;
    TRY(vault_step_up(v, e->who, &e->password, e->code, &asker, ret_detail));
    snprintf(a->role, sizeof a->role, "%s", people_role_text(asker.role));
    vault_note_step(a, &asker);
    if (asker.role == PEOPLE_ADMINISTRATOR)
        return ERR_OK;
    v->refusal = REFUSAL_ROLE;
    snprintf(ret_detail, MSG_DETAIL, "Only an administrator may have personal data erased.");
    return ERR_DENIED;
}

/* Everything that keeps the order from being written. ret_path: of the chain's file */
static enum err prepare(struct vault *v, const struct msg_erase *e, struct audit_entry *a,
                        char ret_path[static VAULT_FOREIGN_PATH], char *ret_detail)
{
    TRY(may(v, e, a, ret_detail));
    snprintf(ret_detail, MSG_DETAIL, "The chain's ID is none.");
    TRY(path_of(v, e->chain, ret_path));
    return check(v, e, ret_path, ret_detail);
}

enum err vault_erase(struct vault *v, const struct msg_erase *e, unsigned *ret_n, char *ret_detail)
{
    struct audit_entry a = {.time = vault_now()};
    char path[VAULT_FOREIGN_PATH];
    text_clean(e->who, strlen(e->who), a.who, sizeof a.who);
    TRY(vault_log_wanted(v, ret_detail));
    enum err err = prepare(v, e, &a, path, ret_detail);
    if (err != ERR_OK)
        return vault_refuse_word(v, &a, err, "erasure", ret_detail);
    snprintf(ret_detail, MSG_DETAIL, "The order cannot be written into the audit log; nothing was erased.");
    if (write_order(v, e, &a) != ERR_OK)
        return ERR_IO;
    snprintf(ret_detail, MSG_DETAIL,
             "The order is on record, but not carried out; the vault's next start does that.");
    TRY(audit_erase(path, e->n, e->count, ret_n));
    for (unsigned i = 0; i < e->count; i++)
        forget(v, e->chain, e->n[i]);
    return ERR_OK;
}
