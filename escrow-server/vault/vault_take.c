/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/secret.h"
#include "escrow-server/process/metrics.h"
#include "escrow-server/vault/vault.h"
#include <stdio.h>

/* What web workers ask: each question is read, carried out and answered. */

static void end(struct chan *c)
{
    if (chan_end(c) != ERR_OK)
        chan_close(c);
}

static void answer_failed(struct chan *c, uint64_t id, enum err e, const char *detail)
{
    struct writer *w = chan_begin(c, MSG_FAILED, id);
    if (w == NULL)
        return chan_close(c);
    msg_put_failed(w, e, detail);
    end(c);
}

static void answer_wanted(struct chan *c, uint64_t id, uint64_t n, const char *detail)
{
    struct msg_wanted wanted = {.n = n};
    struct writer *w = chan_begin(c, MSG_WANTED, id);
    if (w == NULL)
        return chan_close(c);
    snprintf(wanted.detail, sizeof wanted.detail, "%s", detail);
    msg_put_wanted(w, &wanted);
    end(c);
}

static void answered(const struct vault *v, enum err e, enum metric done)
{
    if (e == ERR_OK)
        metrics_add(done, 1);
    vault_refuse_count(v, e);
}

static enum err take_disclose(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_disclose d;
    struct msg_opened opened = {0};
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_disclose(m->body, m->len, &d));
    v->refusal = REFUSAL_OTHER;
    enum err e = vault_disclose(v, &d, &opened, detail);
    answered(v, e, METRIC_DISCLOSURES);
    struct writer *w = e == ERR_OK ? chan_begin(c, MSG_OPENED, m->id) : NULL;
    if (w != NULL) {
        msg_put_opened(w, &opened);
        end(c);
    } else if (e == ERR_BUSY && opened.entry.n != 0) {
        answer_wanted(c, m->id, opened.entry.n, detail);
    } else {
        answer_failed(c, m->id, e == ERR_OK ? ERR_NOMEM : e, detail);
    }
    cr_wipe(&opened, sizeof opened);
    return ERR_OK;
}

static enum err take_import(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_import i;
    struct msg_imported imported = {0};
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_import(m->body, m->len, &i));
    enum err e = vault_import(v, &i, &imported, detail);
    struct writer *w = e == ERR_OK ? chan_begin(c, MSG_IMPORTED, m->id) : NULL;
    if (w == NULL) {
        answer_failed(c, m->id, e == ERR_OK ? ERR_NOMEM : e, detail);
        return ERR_OK;
    }
    msg_put_imported(w, &imported);
    end(c);
    return ERR_OK;
}

static enum err answer_number(struct chan *c, uint8_t type, uint64_t id, uint64_t n)
{
    struct writer *w = chan_begin(c, type, id);
    if (w == NULL)
        return ERR_NOMEM;
    msg_put_u64(w, n);
    end(c);
    return ERR_OK;
}

static enum err take_heard(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_heard h;
    enum msg_heard_is is;
    TRY(msg_get_heard(m->body, m->len, &h));
    enum err e = vault_heard(v, &h, &is);
    if (e == ERR_OK)
        return answer_number(c, MSG_HEARD_IS, m->id, is);
    answer_failed(c, m->id, e, "The vault's log cannot be compared now.");
    return ERR_OK;
}

static enum err answer_wish(struct chan *c, uint64_t id, enum err e, const struct msg_wish *wish,
                            const char *detail)
{
    if (e != ERR_OK) {
        answer_failed(c, id, e, detail);
        return ERR_OK;
    }
    struct writer *w = chan_begin(c, MSG_WISH_IS, id);
    if (w == NULL)
        return ERR_NOMEM;
    msg_put_wish(w, wish);
    end(c);
    return ERR_OK;
}

static enum err take_approve(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_approve a;
    struct msg_wish wish;
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_approve(m->body, m->len, &a));
    v->refusal = REFUSAL_OTHER;
    enum err e = vault_approve(v, &a, &wish, detail);
    answered(v, e, METRIC_APPROVALS);
    return answer_wish(c, m->id, e, &wish, detail);
}

static enum err take_wish(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_wish wish;
    uint64_t n;
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_u64(m->body, m->len, &n));
    enum err e = vault_wish_show(v, n, &wish, detail);
    return answer_wish(c, m->id, e, &wish, detail);
}

static enum err take_erase(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_erase e;
    unsigned n = 0;
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_erase(m->body, m->len, &e));
    v->refusal = REFUSAL_OTHER;
    enum err err = vault_erase(v, &e, &n, detail);
    vault_refuse_count(v, err);
    if (err == ERR_OK)
        return answer_number(c, MSG_DONE, m->id, n);
    answer_failed(c, m->id, err, detail);
    return ERR_OK;
}

static enum err take_loss_word(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    struct msg_loss_word l;
    uint64_t mark = 0;
    char detail[MSG_DETAIL + 1] = "The vault cannot do this now.";
    TRY(msg_get_loss_word(m->body, m->len, &l));
    v->refusal = REFUSAL_OTHER;
    enum err e = vault_loss_word(v, &l, detail, &mark);
    vault_refuse_count(v, e);
    if (e == ERR_OK)
        return answer_number(c, MSG_DONE, m->id, mark);
    answer_failed(c, m->id, e, detail);
    return ERR_OK;
}

static enum err take_since(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    static struct msg_entries entries; /* 20 KB, in one thread */
    uint64_t n;
    TRY(msg_get_u64(m->body, m->len, &n));
    vault_since(v, n, &entries);
    struct writer *w = chan_begin(c, MSG_ENTRIES, m->id);
    if (w == NULL)
        return ERR_NOMEM;
    msg_put_entries(w, &entries);
    end(c);
    return ERR_OK;
}

enum err vault_take(struct vault *v, struct chan *c, const struct msg_frame *m)
{
    switch (m->type) {
    case MSG_DISCLOSE:
        return take_disclose(v, c, m);
    case MSG_IMPORT:
        return take_import(v, c, m);
    case MSG_HEARD:
        return take_heard(v, c, m);
    case MSG_APPROVE:
        return take_approve(v, c, m);
    case MSG_WISH:
        return take_wish(v, c, m);
    case MSG_ERASE:
        return take_erase(v, c, m);
    case MSG_LOSS_WORD:
        return take_loss_word(v, c, m);
    case MSG_SINCE:
        return take_since(v, c, m);
    default:
        return ERR_FORMAT;
    }
}
