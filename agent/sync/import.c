/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/sync/enrollment.h"
#include "agent/sync/export.h"
#include "formats/outbox_answer.h"
#include <stdlib.h>
#include <string.h>

static struct msg_span lend(const void *p, size_t len)
{
    return (struct msg_span){p, len};
}

static void to_message(const struct outbox_answer *a, struct msg *m)
{
    *m = (struct msg){.type = MSG_SYNC_ANSWER};
    m->sync_answer.status = MSG_DONE;
    for (unsigned i = 0; i < a->n_receipts; i++)
        m->sync_answer.receipts.item[m->sync_answer.receipts.n++] = lend(a->receipt[i].p, a->receipt[i].len);
    for (unsigned i = 0; i < a->n_commands; i++)
        m->sync_answer.commands.item[m->sync_answer.commands.n++] = lend(a->command[i].p, a->command[i].len);
    if (a->has_head) {
        m->sync_answer.audit_length = a->audit_length;
        m->sync_answer.audit_hash = lend(a->audit_hash, sizeof a->audit_hash);
    }
    if (a->has_known) {
        m->sync_answer.known_incarnation = lend(a->incarnation, sizeof a->incarnation);
        m->sync_answer.known_sequence = a->sequence;
        m->sync_answer.known_name = lend(a->name, sizeof a->name);
    }
    m->sync_answer.certificate = lend(a->certificate.p, a->certificate.len);
}

/* An old answer may name what arrived since; each record's own receipt tells, and nothing is kept of the
 * answer: nobody signs it, so whatever it made us remember would be a way to make us deaf. At worst a record
 * is sent once more, which is always allowed. */
static enum err resend(struct agent *a, const struct outbox_answer *answer)
{
    uint32_t attempt = answer->attempt ? answer->attempt : CACHE_NOW;
    for (size_t off = 0; off + 32 <= answer->missing.len; off += 32) {
        TRY(cache_resend_envelope(a->cache, a->key.id, answer->missing.p + off, attempt));
        TRY(cache_resend_package(a->cache, a->key.id, answer->missing.p + off, attempt));
    }
    return ERR_OK;
}

static enum err apply(struct agent *a, const struct outbox_answer *answer, struct sync_outcome *o)
{
    struct msg *m = malloc(sizeof *m);
    if (!m)
        return ERR_NOMEM;
    to_message(answer, m);
    enum err e = resend(a, answer);
    if (e == ERR_OK)
        e = sync_apply_carried(a, m, o);
    free(m);
    TRY(e);
    bool accepted = o->receipted > 0 || (answer->certificate.len > 0 && o->refused == 0);
    return accepted && !enrollment_done(a) ? enrollment_finish(a) : ERR_OK;
}

enum err import_answer(struct agent *a, const uint8_t *in, size_t len, struct sync_outcome *ret,
                       struct problem *why)
{
    struct outbox_answer *answer = malloc(sizeof *answer);
    struct sync_outcome o = {0};
    if (!answer)
        return problem_set(why, ERR_NOMEM, "not enough memory; nothing was changed");
    enum err e = outbox_answer_decode(in, len, answer);
    if (e != ERR_OK)
        e = problem_set(why, e, "this is no answer to an exported outbox: %s; nothing was changed",
                        err_text(e));
    else if (!a->org || !guid_equal(&answer->org, &a->org->id))
        e = problem_set(why, ERR_DENIED, "the answer is of another organisation; nothing was changed");
    else if (memcmp(answer->device, a->key.id, sizeof answer->device) != 0)
        e = problem_set(why, ERR_DENIED, "the answer is for another computer; nothing was changed");
    else if ((e = apply(a, answer, &o)) != ERR_OK)
        e = problem_set(why, e, "the answer cannot be kept: %s; import it again", err_text(e));
    free(answer);
    if (e == ERR_OK)
        *ret = o;
    return e;
}
