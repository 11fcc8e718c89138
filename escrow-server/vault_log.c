/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "escrow-server/slog.h"
#include "escrow-server/vault.h"
#include "formats/base.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t vault_now(void)
{
    return (uint64_t)time(NULL);
}

enum err vault_log_remember(struct vault *v, const struct msg_entry *e)
{
    if (v->n_disclosed == v->cap_disclosed) {
        size_t cap = v->cap_disclosed == 0 ? 64 : v->cap_disclosed * 2;
        struct msg_entry *p = realloc(v->disclosed, cap * sizeof *p);
        if (p == NULL)
            return ERR_NOMEM;
        v->disclosed = p;
        v->cap_disclosed = cap;
    }
    v->disclosed[v->n_disclosed++] = *e;
    return ERR_OK;
}

/* An entry of our own log, read back at start. */
static enum err take_entry(void *ctx, const struct audit_entry *a, const char *line, size_t len)
{
    struct vault *v = ctx;
    struct msg_entry e = {.n = a->n, .time = a->time};
    size_t got;
    if (a->n == v->seen.n) {
        uint8_t hash[32];
        TRY(cr_sha256(line, len, hash));
        v->goes_on = memcmp(hash, v->seen.hash, sizeof hash) == 0;
    }
    if (strcmp(a->action, AUDIT_DISCLOSE) != 0)
        return ERR_OK;
    if (strlen(a->who) > MSG_NAME || guid_decode(a->key_id, strlen(a->key_id), &e.key_id) != ERR_OK ||
        guid_decode(a->volume, strlen(a->volume), &e.volume) != ERR_OK ||
        base16_decode(a->device, strlen(a->device), e.device, sizeof e.device, &got) != ERR_OK)
        return ERR_FORMAT;
    snprintf(e.chain, sizeof e.chain, "%s", a->chain);
    snprintf(e.who, sizeof e.who, "%s", a->who);
    return vault_log_remember(v, &e);
}

static enum err open_log(struct vault *v)
{
    struct audit_head head;
    size_t torn;
    enum err e = audit_open_made(NAME_AUDIT, vault_now(), &v->log);
    if (e != ERR_OK)
        return e;
    v->n_disclosed = 0;
    v->goes_on = v->seen.n == 0; /* the first time since the start: any good chain will do */
    e = audit_verify(NAME_AUDIT, take_entry, v, &head, &torn);
    if (e == ERR_OK && !v->goes_on) {
        slog(SLOG_ERROR, "audit",
             "replaced=1 reason=\"the log does not hold entry %llu of chain %s, which this vault wrote; put "
             "the "
             "right file back\"",
             (unsigned long long)v->seen.n, v->seen.chain);
        e = ERR_CONFLICT;
    }
    if (e != ERR_OK) {
        audit_close(v->log);
        v->log = NULL;
        return e;
    }
    v->seen = head;
    slog(SLOG_INFO, "audit", "open=1 chain=%s entries=%llu", head.chain, (unsigned long long)head.n);
    return ERR_OK;
}

/* A file that somebody made read-only is not written, though the open descriptor could be. */
enum err vault_log_ready(struct vault *v)
{
    if (v->log != NULL && access(NAME_AUDIT, W_OK) != 0) {
        audit_close(v->log);
        v->log = NULL;
        return ERR_DENIED;
    }
    return v->log != NULL ? ERR_OK : open_log(v);
}

enum err vault_log_append(struct vault *v, const struct audit_entry *entry, uint64_t *ret_n)
{
    struct audit_head head;
    enum err e = vault_log_ready(v);
    if (e == ERR_OK)
        e = audit_append(v->log, entry);
    if (e != ERR_OK) {
        slog(SLOG_ERROR, "audit", "failed=\"an entry cannot be written; nothing is disclosed\" reason=\"%s\"",
             err_text(e));
        if (e != ERR_FORMAT && e != ERR_RANGE) { /* those are the entry's fault, not the log's */
            audit_close(v->log);
            v->log = NULL;
        }
        return e;
    }
    audit_get_head(v->log, &head);
    v->seen = head;
    *ret_n = head.n;
    for (unsigned i = 0; i < VAULT_WEBS; i++)
        if (chan_is_open(&v->web[i]))
            vault_log_announce(v, &v->web[i]);
    return ERR_OK;
}

enum err vault_log_head(const struct vault *v, struct msg_head *ret)
{
    struct audit_head head;
    if (v->log == NULL)
        return ERR_NOT_FOUND;
    audit_get_head(v->log, &head);
    ret->n = head.n;
    memcpy(ret->hash, head.hash, sizeof ret->hash);
    return ERR_OK;
}

void vault_log_announce(struct vault *v, struct chan *c)
{
    struct msg_head head;
    if (vault_log_head(v, &head) != ERR_OK)
        return;
    struct writer *w = chan_begin(c, MSG_HEAD, 0);
    if (w == NULL)
        return;
    msg_put_head(w, &head);
    if (chan_end(c) != ERR_OK)
        chan_close(c);
}
