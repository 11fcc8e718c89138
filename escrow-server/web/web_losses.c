/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include "escrow-server/web/web_local.h"
#include "formats/host/json_strict.h"
#include <stdio.h>
#include <string.h>

/* What the vault's log lost: passed on to the writer, which has the keys of that time rotate; shown to
 * people, whose word goes to the vault. */

static void on_passed(void *ctx, enum err e, const struct msg_frame *m)
{
    struct web *w = ctx;
    (void)m;
    w->losses_due = w->losses_due || e != ERR_OK;
}

void web_losses_tick(struct web *w)
{
    uint64_t id;
    if (!w->losses_due || !w->vault_said)
        return;
    struct writer *body = back_begin(w, BACK_WRITER, MSG_LOSSES, on_passed, w, &id);
    if (body == NULL)
        return;
    w->losses_due = false;
    msg_put_losses(body, &w->vault.losses);
    back_send(w, BACK_WRITER);
}

static void add_number(struct json_object *o, const char *name, uint64_t v)
{
    json_object_object_add(o, name, json_object_new_int64((int64_t)v));
}

static struct json_object *loss_object(const struct msg_loss *l)
{
    struct json_object *o = json_object_new_object();
    add_number(o, "entry", l->n);
    add_number(o, "proved", l->proved);
    add_number(o, "lost", l->lost);
    add_number(o, "have", l->have);
    add_number(o, "from", l->from);
    add_number(o, "to", l->to);
    add_number(o, "until", l->until);
    add_number(o, "acknowledged", l->acknowledged);
    json_object_object_add(o, "rotates", json_object_new_boolean(!l->stopped));
    add_number(o, "rotate_from", l->rotate_from);
    add_number(o, "rotate_until", l->rotate_until);
    return o;
}

static struct json_object *keys_object(void)
{
    static const char *const names[] = {"to_order", "ordered", "rotated"};
    struct json_object *o = json_object_new_object();
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        add_number(o, names[i], metrics_sum(METRIC_LOSS_KEYS + i));
    return o;
}

static unsigned count_open(const struct msg_losses *losses)
{
    unsigned n = 0;
    for (unsigned i = 0; i < losses->n; i++)
        n += losses->item[i].acknowledged == 0;
    return n;
}

void web_losses_health(const struct web *w, struct json_object *o)
{
    if (w->vault.lost == 0)
        return;
    add_number(o, "audit_lost", w->vault.lost);
    json_object_object_add(o, "audit_lost_acknowledged",
                           json_object_new_boolean(count_open(&w->vault.losses) == 0));
    json_object_object_add(o, "loss_keys", keys_object());
}

void local_losses(struct local *l)
{
    const struct msg_losses *losses = &l->web->vault.losses;
    if (!back_vault_said(l->web))
        return local_away(l, BACK_VAULT);
    struct json_object *o = local_ok(), *list = json_object_new_array();
    for (unsigned i = 0; i < losses->n; i++)
        json_object_array_add(list, loss_object(&losses->item[i]));
    json_object_object_add(o, "losses", list);
    json_object_object_add(o, "keys", keys_object());
    local_answer(l, o, NULL);
}

static enum err read_time(struct json_object *request, const char *name, uint64_t *ret)
{
    enum err e = json_get_u64(request, name, ret);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err read_word(struct local *l, struct msg_loss_word *ret)
{
    static const char *const words[] = {
        [LOSS_ACKNOWLEDGE] = "acknowledge", [LOSS_STOP] = "stop", [LOSS_NARROW] = "rotate"};
    const char *who, *reason, *word;
    TRY(json_get_text(l->request, "as", MSG_NAME, &who));
    TRY(json_get_text(l->request, "reason", MSG_REASON, &reason));
    TRY(json_get_text(l->request, "word", 16, &word));
    TRY(json_get_u64(l->request, "entry", &ret->n));
    TRY(read_time(l->request, "from", &ret->from));
    TRY(read_time(l->request, "until", &ret->until));
    TRY(local_code(l->request, ret->code));
    snprintf(ret->who, sizeof ret->who, "%s", who);
    snprintf(ret->reason, sizeof ret->reason, "%s", reason);
    for (uint8_t i = LOSS_ACKNOWLEDGE; i <= LOSS_NARROW; i++)
        if (strcmp(words[i], word) == 0)
            ret->word = i;
    return ret->word != 0 ? ERR_OK : ERR_FORMAT;
}

static void on_word(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    uint64_t mark;
    if (!local_number(l, e, m, &mark))
        return;
    struct json_object *o = local_ok();
    add_number(o, "mark", mark);
    local_answer(l, o, NULL);
}

void local_loss(struct local *l)
{
    struct msg_loss_word m = {.password = {l->secret.bytes, l->secret.len}};
    if (read_word(l, &m) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "A field is missing or too long (name 64, reason 256 bytes).");
    struct writer *body = local_begin(l, BACK_VAULT, MSG_LOSS_WORD, on_word);
    if (body == NULL)
        return;
    msg_put_loss_word(body, &m);
    secret_wipe(&l->secret);
    back_send(l->web, BACK_VAULT);
}

static void on_taken_back(void *ctx, enum err e, const struct msg_frame *m)
{
    struct local *l = ctx;
    struct msg_taken_back t;
    l->waiting = 0;
    if (e == ERR_OK)
        e = msg_get_taken_back(m->body, m->len, &t);
    if (e != ERR_OK)
        return local_failed(l, e, m);
    struct json_object *o = local_ok();
    add_number(o, "taken_back", t.n);
    add_number(o, "gone_out", t.gone);
    add_number(o, "alien", t.alien);
    json_object_object_add(o, "more", json_object_new_boolean(t.more));
    local_answer(l, o, NULL);
}

/* Of a loss whose rotation was stopped, by a person with the right to; so nobody is asked who he is. */
void local_take_back(struct local *l)
{
    uint64_t loss;
    if (json_get_u64(l->request, "mark", &loss) != ERR_OK)
        return local_fail(l, ERR_FORMAT, "\"mark\" is missing.");
    struct writer *body = local_begin(l, BACK_WRITER, MSG_TAKE_BACK, on_taken_back);
    if (body == NULL)
        return;
    msg_put_u64(body, loss);
    back_send(l->web, BACK_WRITER);
}
