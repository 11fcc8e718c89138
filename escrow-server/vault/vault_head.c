/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/process/slog.h"
#include "escrow-server/vault/vault.h"
#include "formats/base.h"
#include "formats/host/audit_checkpoint.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FILE_MAX 4096

void vault_head_open(struct vault *v, const struct secret *passphrase)
{
    uint8_t *pem = NULL;
    size_t len;
    enum err e = file_read(NAME_AUDIT_KEY, KEY_FILE_MAX, &pem, &len);
    if (e == ERR_OK) {
        e = cr_p256_from_pem((const char *)pem, len, passphrase->len > 0 ? passphrase : NULL, &v->audit_key);
        cr_wipe(pem, len);
        free(pem);
    }
    if (e != ERR_OK)
        slog(SLOG_ERROR, "audit",
             "alarm=\"the audit key cannot be opened; heads and checkpoints are not signed\" reason=\"%s\"",
             err_text(e));
}

static enum err chain_bytes(const char *text, uint8_t ret[static 16])
{
    size_t len;
    TRY(base16_decode(text, strlen(text), ret, 16, &len));
    return len == 16 ? ERR_OK : ERR_FORMAT;
}

static enum err sign(struct vault *v)
{
    struct audit_head_word w = {.org = v->org, .n = v->seen.n, .time = vault_now()};
    if (v->audit_key == NULL)
        return ERR_NOT_FOUND;
    TRY(chain_bytes(v->seen.chain, w.chain));
    memcpy(w.hash, v->seen.hash, sizeof w.hash);
    return audit_head_encode(&w, v->audit_key, v->word);
}

void vault_head_sign(struct vault *v)
{
    v->has_word = sign(v) == ERR_OK;
}

/* The entry tells where the log stood before it. */
void vault_head_checkpoint(struct vault *v, uint64_t after)
{
    struct audit_entry a = {.time = vault_now(), .who = "keyholt", .role = "system", .action = AUDIT_CHECK};
    if (v->log == NULL || !v->has_word || v->seen.n < v->last_check + after)
        return;
    base64_encode(v->word, sizeof v->word, a.note);
    if (vault_log_write(v, &a) == ERR_OK)
        v->last_check = v->seen.n;
}

/* A word of ours, whatever chain it is on. */
static enum err decode(const struct vault *v, const struct msg_blob *word, struct audit_head_word *ret)
{
    struct cr_p256_pub pub;
    if (v->audit_key == NULL)
        return ERR_NOT_FOUND;
    TRY(cr_p256_public(v->audit_key, &pub));
    TRY(audit_head_decode(word->p, word->len, &pub, ret));
    return guid_equal(&ret->org, &v->org) ? ERR_OK : ERR_CONFLICT;
}

static bool is_on(const struct audit_head_word *w, const char *chain_text)
{
    uint8_t chain[16];
    return chain_bytes(chain_text, chain) == ERR_OK && memcmp(chain, w->chain, 16) == 0;
}

/* Read back at start: whoever changed the log could not sign this. */
static enum err judge(const struct vault *v, const struct audit_entry *a)
{
    struct audit_head_word w;
    uint8_t word[AUDIT_HEAD_LEN];
    size_t len;
    char prev[BASE16_LEN(32) + 1];
    TRY(base64_decode(a->note, strlen(a->note), word, sizeof word, &len));
    TRY(decode(v, &(struct msg_blob){word, len}, &w));
    if (!is_on(&w, a->chain))
        return ERR_CONFLICT;
    base16_encode(w.hash, sizeof w.hash, prev);
    return w.n + 1 == a->n && strcmp(prev, a->prev) == 0 ? ERR_OK : ERR_AUTH;
}

enum err vault_head_judge(struct vault *v, const struct audit_entry *a)
{
    if (strcmp(a->action, AUDIT_CHECK) != 0)
        return ERR_OK;
    v->last_check = a->n;
    enum err e = judge(v, a);
    if (e == ERR_OK || e == ERR_NOT_FOUND) /* there is no key to judge by, which is an alarm of its own */
        return ERR_OK;
    slog(SLOG_ERROR, "audit",
         "false-checkpoint=%llu reason=\"its signature is not this vault's, or it tells another story\"",
         (unsigned long long)a->n);
    return ERR_CONFLICT;
}

enum err vault_head_judge_foreign(const struct vault *v, const struct audit_entry *a)
{
    struct audit_head_word w;
    struct cr_p256_pub pub;
    uint8_t id[CR_KEY_ID];
    if (strcmp(a->action, AUDIT_CHECK) != 0)
        return ERR_OK;
    if (audit_checkpoint_read(a, &w) != ERR_OK)
        return ERR_AUTH;
    if (!guid_equal(&w.org, &v->org))
        return ERR_CONFLICT;
    if (v->audit_key == NULL || cr_p256_public(v->audit_key, &pub) != ERR_OK ||
        cr_p256_id(&pub, id) != ERR_OK || memcmp(id, w.key, sizeof id) != 0)
        return ERR_OK;
    return audit_checkpoint_verify(a, &pub) == ERR_OK ? ERR_OK : ERR_AUTH;
}

/* In the log, or in the copy of another one? */
static bool is_there(const struct vault *v, const struct audit_head_word *w)
{
    const struct vault_copy *copy = vault_memory_copy_of(v, w->chain);
    return vault_memory_has(v, w->hash) || (copy != NULL && vault_copy_has(copy, w->n, w->hash));
}

enum err vault_heard(struct vault *v, const struct msg_heard *h, enum msg_heard_is *ret)
{
    struct audit_head_word w;
    TRY(vault_log_ready(v));
    if (vault_memory_has(v, h->hash)) {
        *ret = HEARD_KNOWN;
        return ERR_OK;
    }
    if (h->word.len == 0) {
        *ret = HEARD_UNKNOWN;
        return ERR_OK;
    }
    /* The word may be on an earlier head than the one that the device has. Our key signs for one chain only:
     * another one is lost, but for what was imported of it. */
    if (decode(v, &h->word, &w) != ERR_OK || is_there(v, &w)) {
        *ret = HEARD_ELSEWHERE;
        return ERR_OK;
    }
    TRY(vault_loss_prove(v, h->device, &w));
    *ret = HEARD_LOST;
    return ERR_OK;
}
