/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/metrics.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VAULT_TRY_S 60 /* between two tries to open a log that did not change */

static void describe(const struct vault *v, struct msg_vault_is *ret)
{
    *ret = (struct msg_vault_is){.log = v->log != NULL, .lost = v->lost, .n = v->n_keys, .losses = v->losses};
    for (unsigned i = 0; i < v->n_keys; i++) {
        memcpy(ret->key[i].id, v->key[i].id, sizeof ret->key[i].id);
        snprintf(ret->key[i].name, sizeof ret->key[i].name, "%s", v->key[i].stem);
        ret->key[i].err = (uint8_t)v->key[i].state;
    }
}

static struct vault_stamp stamp(void)
{
    struct stat st;
    if (stat(NAME_AUDIT, &st) != 0)
        return (struct vault_stamp){.ino = 0};
    return (struct vault_stamp){
        .ino = st.st_ino, .size = st.st_size, .ns = st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec};
}

static bool same(const struct vault_stamp *a, const struct vault_stamp *b)
{
    return a->ino == b->ino && a->size == b->size && a->ns == b->ns;
}

/* Is that all of it? To open it would cut a torn end off, which somebody may be about to write. */
static bool is_whole(const struct vault *v)
{
    struct audit_head head;
    size_t torn;
    return audit_verify(NAME_AUDIT, NULL, NULL, &head, &torn) == ERR_OK && torn == 0 && head.n > 0 &&
           head.n >= v->seen.n;
}

/* One that came, or was changed, since it was looked into last, and rests now; now and then one that could
 * not be written. */
static bool may_open(struct vault *v)
{
    struct vault_stamp now = stamp();
    bool rests = now.ino != 0 && same(&now, &v->looked);
    int64_t up = vault_up();
    v->looked = now;
    if (!rests || (same(&now, &v->tried) && up < v->tried_at + VAULT_TRY_S))
        return false;
    v->tried = now;
    v->tried_at = up;
    return access(NAME_AUDIT, W_OK) == 0 && is_whole(v);
}

void vault_state_look(struct vault *v)
{
    if ((v->log != NULL || may_open(v)) && vault_log_ready(v) != ERR_OK)
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
