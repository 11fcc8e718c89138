/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void describe(const struct vault *v, struct msg_vault_is *ret)
{
    *ret = (struct msg_vault_is){.log = v->log != NULL, .lost = v->lost, .n = v->n_keys, .losses = v->losses};
    for (unsigned i = 0; i < v->n_keys; i++) {
        memcpy(ret->key[i].id, v->key[i].id, sizeof ret->key[i].id);
        snprintf(ret->key[i].name, sizeof ret->key[i].name, "%s", v->key[i].stem);
        ret->key[i].err = (uint8_t)v->key[i].state;
    }
}

void vault_state_look(struct vault *v)
{
    bool there = access(NAME_AUDIT, W_OK) == 0, is_back = there && v->log_gone;
    v->log_gone = !there;
    if ((v->log != NULL || is_back) && vault_log_ready(v) != ERR_OK)
        slog(SLOG_ERROR, "audit",
             "alarm=\"the audit log is gone or cannot be written; nothing is disclosed\"");
}

void vault_state_tend(struct vault *v)
{
    bool log = v->log != NULL;
    if (log == v->told_log && v->loss_words == v->told_loss_words)
        return;
    v->told_log = log;
    metrics_set(METRIC_AUDIT_WRITABLE, log);
    v->told_loss_words = v->loss_words;
    vault_loss_count(v);
    for (unsigned i = 0; i < VAULT_WEBS; i++)
        if (chan_is_open(&v->web[i]))
            vault_state_announce(v, &v->web[i]);
}

void vault_state_announce(struct vault *v, struct chan *c)
{
    struct msg_vault_is m;
    describe(v, &m);
    struct writer *w = chan_begin(c, MSG_VAULT_IS, 0);
    if (w == NULL)
        return;
    msg_put_vault_is(w, &m);
    if (chan_end(c) != ERR_OK)
        chan_close(c);
}
