/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include "formats/base.h"
#include "formats/host/audit_gap.h"
#include "formats/text.h"
#include <stdio.h>
#include <string.h>

/* What the log lost: a device brought a head that we signed and that is not in it. The keys that may have
 * been disclosed in the gap rotate, until a person says otherwise. All of it stands in the log and is read
 * back from it. */

static struct audit_gap gap_of(const struct msg_loss *l)
{
    return (struct audit_gap){
        .lost = l->lost, .have = l->have, .from = l->from, .to = l->to, .until = l->until};
}

/* source: msg.h. The hash covers the whole log up to the alarm, and so which log it is. */
static uint64_t mark_of(const struct vault *v, uint64_t n)
{
    struct reader r;
    reader_init(&r, v->mark[n - 1].hash, sizeof v->mark[n - 1].hash);
    return reader_u64(&r) % MSG_LOSS_MARK + MSG_LOSS_MARK;
}

static struct msg_loss *find(struct vault *v, uint64_t n)
{
    for (unsigned i = 0; i < v->losses.n; i++)
        if (v->losses.item[i].n == n)
            return &v->losses.item[i];
    return NULL;
}

static struct msg_loss *find_gap(struct vault *v, const struct audit_gap *g)
{
    for (unsigned i = 0; i < v->losses.n; i++)
        if (v->losses.item[i].have == g->have && v->losses.item[i].from == g->from)
            return &v->losses.item[i];
    return NULL;
}

/* A longer head of the same gap: the loss keeps its number. What was acknowledged was less than that. */
static bool grow(struct vault *v, const struct audit_gap *g)
{
    struct msg_loss *l = find_gap(v, g);
    if (l == NULL)
        return false;
    if (g->lost > l->lost) {
        l->lost = g->lost;
        l->to = g->to;
        l->acknowledged = 0;
    }
    return true;
}

static void add(struct vault *v, const struct audit_gap_note *note, uint64_t time)
{
    const struct audit_gap *g = &note->gap;
    if (g->lost > v->lost)
        v->lost = g->lost;
    if (grow(v, g))
        return;
    if (v->losses.n == MSG_LOSSES_MAX) {
        slog(SLOG_ERROR, "audit", "loss=%llu unattended=\"there are too many; its keys do not rotate\"",
             (unsigned long long)note->n);
        return;
    }
    v->losses.item[v->losses.n++] = (struct msg_loss){.n = note->n,
                                                      .proved = time,
                                                      .mark = mark_of(v, note->n),
                                                      .lost = g->lost,
                                                      .have = g->have,
                                                      .from = g->from,
                                                      .to = g->to,
                                                      .until = g->until,
                                                      .rotate_from = g->from,
                                                      .rotate_until = g->until};
}

void vault_loss_take(struct vault *v, const struct audit_entry *a)
{
    struct audit_gap_note note;
    if (audit_gap_decode(a, &note) != ERR_OK)
        return;
    v->loss_words++;
    if (note.word == AUDIT_GAP_ALARM)
        return add(v, &note, a->time);
    struct msg_loss *l = find(v, note.n);
    if (l == NULL)
        return;
    struct audit_gap is = gap_of(l);
    if (note.word == AUDIT_GAP_ACKNOWLEDGED && audit_gap_covers(&note.gap, &is))
        l->acknowledged = a->n;
    if (note.word == AUDIT_GAP_STOP || note.word == AUDIT_GAP_ROTATE)
        l->stopped = note.word == AUDIT_GAP_STOP;
    if (note.word == AUDIT_GAP_ROTATE) {
        l->rotate_from = note.rotate_from;
        l->rotate_until = note.rotate_until;
    }
}

void vault_loss_count(const struct vault *v)
{
    unsigned acknowledged = 0;
    for (unsigned i = 0; i < v->losses.n; i++)
        acknowledged += v->losses.item[i].acknowledged != 0;
    metrics_set(METRIC_LOSSES, v->losses.n - acknowledged);
    metrics_set(METRIC_LOSSES + 1, acknowledged);
}

/* How many of these entries can be from before that moment, and the time of the last of them. */
static uint64_t count_until(const struct vault_mark *mark, size_t n_marks, uint64_t time, uint64_t *ret_last)
{
    uint64_t n = 0;
    *ret_last = 0;
    while (n < n_marks && mark[n].time <= time)
        *ret_last = mark[n++].time;
    return n;
}

/* When was the gap over? The log that we read when we opened it had it already, and so had the one that the
 * first entry behind it went into. */
static uint64_t first_since(const struct vault *v, uint64_t have, uint64_t to)
{
    uint64_t since = have < v->n_marks ? v->mark[have].time : vault_now();
    return v->opened >= to && v->opened < since ? v->opened : since;
}

/* Of a log that was replaced, there is what was imported of it; none of that is in ours. */
static struct audit_gap gap_at(const struct vault *v, const struct audit_head_word *w, bool is_ours)
{
    struct audit_gap g = {.lost = w->n, .to = w->time};
    const struct vault_copy *copy = is_ours ? NULL : vault_memory_copy_of(v, w->chain);
    if (is_ours)
        g.have = count_until(v->mark, v->n_marks, w->time, &g.from);
    else if (copy != NULL)
        g.have = count_until(copy->mark, copy->n, w->time, &g.from);
    g.until = first_since(v, is_ours ? g.have : 0, w->time);
    g.have = g.have < w->n ? g.have : w->n;
    return g;
}

/* Is that head within a gap that is on record? */
static bool is_known(const struct vault *v, const struct audit_gap *g)
{
    for (unsigned i = 0; i < v->losses.n; i++) {
        struct audit_gap is = gap_of(&v->losses.item[i]);
        if (audit_gap_covers(&is, g))
            return true;
    }
    return false;
}

/* An alarm that could not be kept would be raised by every head of it, and each is an entry. */
static bool is_full(struct vault *v, const struct audit_gap *g)
{
    if (v->losses.n < MSG_LOSSES_MAX || find_gap(v, g) != NULL)
        return false;
    if (metrics_may_log("losses", 6))
        slog(SLOG_ERROR, "audit",
             "unattended=\"a device proved one more loss, of %llu entries; there are too many, so it is not "
             "on "
             "record and its keys do not rotate\"",
             (unsigned long long)g->lost);
    return true;
}

/* The word is ours, and what it says is not in the log. */
enum err vault_loss_prove(struct vault *v, const uint8_t device[static 32], const struct audit_head_word *w)
{
    struct audit_entry a = {.time = vault_now(), .who = "keyholt", .role = "system", .action = AUDIT_ALARM};
    struct audit_gap_note note = {.word = AUDIT_GAP_ALARM};
    char hash[BASE16_LEN(32) + 1], chain[BASE16_LEN(16) + 1];
    base16_encode(w->chain, sizeof w->chain, chain);
    bool is_ours = strcmp(chain, v->seen.chain) == 0;
    note.gap = gap_at(v, w, is_ours);
    if (is_known(v, &note.gap) || is_full(v, &note.gap))
        return ERR_OK;
    base16_encode(w->hash, sizeof w->hash, hash);
    base16_encode(device, 32, a.device);
    audit_gap_encode(&note, a.note);
    size_t len = strlen(a.note);
    snprintf(a.note + len, sizeof a.note - len, " hash=%s%s%s", hash,
             is_ours ? "" : " chain=", is_ours ? "" : chain);
    slog(SLOG_ERROR, "audit",
         "alarm=\"the log was shortened or put back: it had %llu entries at %llu; disclosures in between are "
         "not in it, and the keys of that time are going to rotate\" device=%s",
         (unsigned long long)w->n, (unsigned long long)w->time, a.device);
    TRY(vault_log_append(v, &a, &a.n));
    vault_loss_take(v, &a);
    return ERR_OK;
}

/* err: as said in ret_detail */
static enum err may(struct vault *v, const struct msg_loss_word *m, struct audit_entry *a, char *ret_detail)
{
    struct vault_asker asker;
    text_clean(m->who, strlen(m->who), a->who, sizeof a->who);
    TRY(vault_step_up(v, m->who, &m->password, m->code, &asker, ret_detail));
    snprintf(a->role, sizeof a->role, "%s", people_role_text(asker.role));
    text_clean(m->reason, strlen(m->reason), a->reason, sizeof a->reason);
    vault_note_step(a, &asker);
    snprintf(ret_detail, MSG_DETAIL, "A reason is needed; give it with --reason.");
    if (vault_is_blank(m->reason))
        return ERR_DENIED;
    bool auditor = asker.role == PEOPLE_AUDITOR && m->word == LOSS_ACKNOWLEDGE;
    snprintf(ret_detail, MSG_DETAIL,
             "The role %s may not decide this: an auditor or an administrator acknowledges a loss, an "
             "administrator says which keys rotate.",
             people_role_text(asker.role));
    if (auditor || asker.role == PEOPLE_ADMINISTRATOR)
        return ERR_OK;
    v->refusal = REFUSAL_ROLE;
    return ERR_DENIED;
}

/* Narrower than what was proved, never wider. err: RANGE */
static enum err choose(const struct msg_loss *l, const struct msg_loss_word *m, struct audit_gap_note *ret)
{
    ret->n = l->n;
    ret->gap = gap_of(l);
    ret->word = m->word == LOSS_ACKNOWLEDGE ? AUDIT_GAP_ACKNOWLEDGED
                : m->word == LOSS_STOP      ? AUDIT_GAP_STOP
                                            : AUDIT_GAP_ROTATE;
    ret->rotate_from = m->from != 0 ? m->from : l->from;
    ret->rotate_until = m->until != 0 ? m->until : l->until;
    return ret->rotate_from >= l->from && ret->rotate_until <= l->until &&
                   ret->rotate_from <= ret->rotate_until
               ? ERR_OK
               : ERR_RANGE;
}

/* Everything that keeps the word from being written. ret_mark: of the loss */
static enum err prepare(struct vault *v, const struct msg_loss_word *m, struct audit_entry *a,
                        struct audit_gap_note *ret, uint64_t *ret_mark, char *ret_detail)
{
    TRY(may(v, m, a, ret_detail));
    const struct msg_loss *l = find(v, m->n);
    snprintf(ret_detail, MSG_DETAIL,
             "Entry %llu is no alarm of lost entries; see keyholt-server audit losses.",
             (unsigned long long)m->n);
    if (l == NULL)
        return ERR_NOT_FOUND;
    *ret_mark = l->mark;
    snprintf(ret_detail, MSG_DETAIL, "The time is to lie within the loss: see keyholt-server audit losses.");
    return choose(l, m, ret);
}

enum err vault_loss_word(struct vault *v, const struct msg_loss_word *m, char *ret_detail, uint64_t *ret_mark)
{
    struct audit_entry a = {.time = vault_now()};
    struct audit_gap_note note;
    char step[AUDIT_WORD + 1], what[64];
    uint64_t mark = 0;
    TRY(vault_log_wanted(v, ret_detail));
    enum err e = prepare(v, m, &a, &note, &mark, ret_detail);
    if (e != ERR_OK) {
        snprintf(what, sizeof what, "word on the loss of entry %llu", (unsigned long long)m->n);
        return vault_refuse_word(v, &a, e, what, ret_detail);
    }
    snprintf(a.action, sizeof a.action, "%s",
             m->word == LOSS_ACKNOWLEDGE ? AUDIT_ACKNOWLEDGE : AUDIT_ROTATION);
    snprintf(step, sizeof step, "%.*s", AUDIT_WORD, a.note);
    audit_gap_encode(&note, a.note);
    size_t len = strlen(a.note);
    snprintf(a.note + len, sizeof a.note - len, "%s%s", step[0] != '\0' ? " " : "", step);
    snprintf(ret_detail, MSG_DETAIL, "The vault's audit log cannot be written; nothing was decided.");
    if (vault_log_append(v, &a, &a.n) != ERR_OK)
        return ERR_IO;
    vault_loss_take(v, &a);
    *ret_mark = mark;
    vault_head_checkpoint(v, 1); /* signed from now on */
    vault_log_announce_all(v);
    return ERR_OK;
}
