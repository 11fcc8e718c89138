/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t vault_now(void)
{
    return (uint64_t)time(NULL);
}

int64_t vault_up(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec;
}

/* Is it the log that this vault wrote, and do its checkpoints say what stands there? */
static enum err judge(const struct vault *v)
{
    if (!v->goes_on) {
        slog(SLOG_ERROR, "audit",
             "replaced=1 reason=\"the log does not hold entry %llu of chain %s, which this vault wrote; put "
             "the right file back\"",
             (unsigned long long)v->seen.n, v->seen.chain);
        return ERR_CONFLICT;
    }
    return ERR_OK;
}

static enum err read_log(struct vault *v)
{
    struct audit_head head;
    size_t torn;
    vault_memory_clear(v);
    v->goes_on = v->seen.n == 0; /* the first time since the start: any good chain will do */
    TRY(audit_verify(NAME_AUDIT, vault_memory_take, v, &head, &torn));
    TRY(judge(v));
    vault_age_settle(v->mark, v->n_marks);
    v->seen = head;
    v->opened = vault_now();
    slog(SLOG_INFO, "audit", "open=1 chain=%s entries=%llu", head.chain, (unsigned long long)head.n);
    return ERR_OK;
}

static enum err open_log(struct vault *v)
{
    TRY(audit_open_made(NAME_AUDIT, vault_now(), &v->log));
    enum err e = read_log(v);
    if (e != ERR_OK) {
        audit_close(v->log);
        v->log = NULL;
        return e;
    }
    vault_foreign_read(v);
    vault_erase_finish(v);
    vault_head_sign(v);
    vault_head_checkpoint(v, 1);
    return v->log != NULL ? ERR_OK : ERR_IO;
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

enum err vault_log_wanted(struct vault *v, char *ret_detail)
{
    enum err e = vault_log_ready(v);
    if (e == ERR_OK)
        return ERR_OK;
    snprintf(ret_detail, MSG_DETAIL,
             "The vault's audit log cannot be written (%s), and nothing is done without it.", err_text(e));
    return ERR_IO;
}

enum err vault_log_write(struct vault *v, const struct audit_entry *entry)
{
    struct audit_head head;
    struct audit_entry a = *entry;
    uint64_t off = audit_size(v->log);
    enum err e = vault_memory_reserve(v);
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
    memcpy(a.hash, head.hash, sizeof a.hash);
    vault_memory_mark(v, &a, off);
    vault_head_sign(v);
    return ERR_OK;
}

enum err vault_log_append(struct vault *v, const struct audit_entry *entry, uint64_t *ret_n)
{
    TRY(vault_log_ready(v));
    TRY(vault_log_write(v, entry));
    *ret_n = v->seen.n;
    vault_head_checkpoint(v, VAULT_CHECK_EVERY);
    vault_log_announce_all(v);
    return ERR_OK;
}

void vault_log_announce(struct vault *v, struct chan *c)
{
    struct msg_head head = {.n = v->seen.n, .word = {v->word, v->has_word ? sizeof v->word : 0}};
    if (v->log == NULL)
        return;
    memcpy(head.hash, v->seen.hash, sizeof head.hash);
    snprintf(head.chain, sizeof head.chain, "%s", v->seen.chain);
    struct writer *w = chan_begin(c, MSG_HEAD, 0);
    if (w == NULL)
        return;
    msg_put_head(w, &head);
    if (chan_end(c) != ERR_OK)
        chan_close(c);
}

void vault_log_announce_all(struct vault *v)
{
    for (unsigned i = 0; i < VAULT_WEBS; i++)
        if (chan_is_open(&v->web[i]))
            vault_log_announce(v, &v->web[i]);
    if (chan_is_open(&v->export))
        vault_log_announce(v, &v->export);
}
