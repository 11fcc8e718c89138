/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "crypto/p256.h"
#include "escrow-server/process/passphrase.h"
#include "escrow-server/state.h"
#include "escrow-server/verb/answer.h"
#include "escrow-server/verb/audit_verbs.h"
#include "formats/host/audit_chain.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* A server that was made as a copy of another one has that one's log and audit key. Two vaults must not go on
 * with one chain, nor sign with one key: each would prove to the other that it lost entries. Where the log is
 * gone the key stays, so that the fleet can prove what was lost. */

#define KEY_PEM 4096

struct logs {
    char log[PATH_MAX], aside[PATH_MAX + 64]; /* the log that goes aside, and its key: where they lie then */
    char key[PATH_MAX], key_aside[PATH_MAX + 64];
    struct audit_head before, now;
};

static enum err make_log(struct logs *l, uid_t owner)
{
    struct audit_chain *chain = NULL;
    TRY(audit_open(l->log, (uint64_t)time(NULL), &chain));
    audit_get_head(chain, &l->now);
    audit_close(chain);
    return geteuid() != 0 || chown(l->log, owner, owner) == 0 ? ERR_OK : err_from_errno(errno);
}

static enum err put(const char *root, const char *place, const char *pem, size_t len, mode_t mode)
{
    char path[PATH_MAX];
    TRY(file_join(root, place, path, sizeof path));
    return file_write(path, pem, len, mode);
}

static enum err put_key(const char *root, const struct cr_p256_key *key, const struct secret *passphrase)
{
    char pem[KEY_PEM];
    size_t len;
    enum err e = cr_p256_to_pem(key, passphrase->len > 0 ? passphrase : NULL, pem, sizeof pem, &len);
    if (e == ERR_OK)
        e = put(root, PLACE_VAULT "/" NAME_AUDIT_KEY, pem, len, 0600);
    cr_wipe(pem, sizeof pem);
    return e;
}

/* Before the log goes aside: a vault that finds a log of another key says so, and starts with none. */
static enum err make_key(const char *root, const struct conf *conf, const char *path)
{
    char pem[KEY_PEM];
    size_t len;
    uid_t owner = conf->uid[PROCESS_VAULT];
    struct cr_p256_pub pub;
    SECRET(passphrase);
    struct cr_p256_key *key = NULL;
    TRY(passphrase_load(conf->passphrase_file, &passphrase));
    TRY(cr_p256_generate(&key));
    enum err e = put_key(root, key, &passphrase);
    if (e == ERR_OK)
        e = cr_p256_public(key, &pub);
    cr_p256_free(key);
    TRY(e);
    TRY(cr_p256_pub_to_pem(&pub, pem, sizeof pem, &len));
    TRY(put(root, PLACE_AUDIT_PUB, pem, len, 0644));
    return geteuid() != 0 || chown(path, owner, owner) == 0 ? ERR_OK : err_from_errno(errno);
}

/* A name for it with the log's chain, which nothing has yet. err: CONFLICT */
static enum err name_aside(const char *path, const char *chain, char ret[static PATH_MAX + 64])
{
    snprintf(ret, PATH_MAX + 64, "%s.of-%s", path, chain);
    return access(ret, F_OK) == 0 ? ERR_CONFLICT : ERR_OK;
}

/* The old key alone can prove what that log once had. */
static enum err replace_key(const char *root, const struct conf *conf, const struct logs *l)
{
    bool had = rename(l->key, l->key_aside) == 0;
    if (!had && errno != ENOENT)
        return err_from_errno(errno);
    enum err e = make_key(root, conf, l->key);
    if (e != ERR_OK && had && rename(l->key_aside, l->key) != 0)
        fprintf(stderr, "keyholt-server: the audit key lies in %s\n", l->key_aside);
    return e;
}

/* What was there stays beside it. err: AUTH, FORMAT (a broken log) */
static enum err begin(const char *root, const struct conf *conf, struct logs *l)
{
    size_t torn;
    uid_t owner = conf->uid[PROCESS_VAULT];
    TRY(file_join(root, PLACE_AUDIT, l->log, sizeof l->log));
    enum err verified = audit_verify(l->log, NULL, NULL, &l->before, &torn);
    if (verified == ERR_NOT_FOUND)
        return make_log(l, owner);
    TRY(verified);
    TRY(file_join(root, PLACE_VAULT "/" NAME_AUDIT_KEY, l->key, sizeof l->key));
    TRY(name_aside(l->log, l->before.chain, l->aside));
    TRY(name_aside(l->key, l->before.chain, l->key_aside));
    TRY(replace_key(root, conf, l));
    if (rename(l->log, l->aside) != 0)
        return err_from_errno(errno);
    enum err e = make_log(l, owner);
    if (e != ERR_OK && rename(l->aside, l->log) != 0)
        fprintf(stderr, "keyholt-server: the log lies in %s\n", l->aside);
    return e;
}

int audit_begin_verb(const struct audit_words *a)
{
    char root[PATH_MAX];
    struct conf conf;
    struct logs l = {.aside = ""};
    int code = state_begin(a->root, root, &conf);
    if (code != 0)
        return code;
    enum err e = state_lock(root);
    if (e == ERR_BUSY)
        return state_complain(KH_EXIT_FAILED, a->root, "the server runs; stop it first");
    if (e == ERR_OK)
        e = begin(root, &conf, &l);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, "audit begin", err_text(e));
    if (a->json)
        ANSWER_JSON({"chain", l.now.chain, 0}, {"before", l.aside, 0});
    else if (l.aside[0] == '\0')
        printf("chain %s begins; there was no log, and the laptops will prove what was lost\n", l.now.chain);
    else
        printf("chain %s begins; the log of chain %s lies in %s, its key beside it\n", l.now.chain,
               l.before.chain, l.aside);
    return KH_EXIT_OK;
}
