/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/host/file.h"
#include "escrow-server/answer.h"
#include "escrow-server/audit_verbs.h"
#include "escrow-server/state.h"
#include "formats/host/audit_chain.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* A server that was made as a copy of another one has that one's log. Two vaults must not go on with one
 * chain: each would prove to the other that it lost entries. */

struct logs {
    char log[PATH_MAX], aside[PATH_MAX + 64];
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

/* What was there stays beside it. err: NOT_FOUND (no log), AUTH, FORMAT (a broken one) */
static enum err begin(const char *root, uid_t owner, struct logs *l)
{
    size_t torn;
    TRY(file_join(root, PLACE_AUDIT, l->log, sizeof l->log));
    TRY(audit_verify(l->log, NULL, NULL, &l->before, &torn));
    snprintf(l->aside, sizeof l->aside, "%s.of-%s", l->log, l->before.chain);
    if (access(l->aside, F_OK) == 0)
        return ERR_CONFLICT;
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
    struct logs l;
    int code = state_begin(a->root, root, &conf);
    if (code != 0)
        return code;
    enum err e = state_lock(root);
    if (e == ERR_BUSY)
        return state_complain(KH_EXIT_FAILED, a->root, "the server runs; stop it first");
    if (e == ERR_OK)
        e = begin(root, conf.uid[PROCESS_VAULT], &l);
    if (e != ERR_OK)
        return state_complain(KH_EXIT_FAILED, "audit begin", err_text(e));
    if (a->json)
        ANSWER_JSON({"chain", l.now.chain, 0}, {"before", l.aside, 0});
    else
        printf("chain %s begins; the log of chain %s lies in %s\n", l.now.chain, l.before.chain, l.aside);
    return KH_EXIT_OK;
}
