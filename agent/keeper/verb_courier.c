/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper's half of each errand to a server. Nothing that the courier says is believed beyond what its
 * connection can know: certificate, receipts and commands are verified, problems are only shown. */
#include "agent/courier/courier_certificate.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/receipt_wait.h"
#include "agent/keeper/tpm_back.h"
#include "agent/sync/enrollment.h"
#include "agent/sync/identity.h"
#include "agent/sync/sync.h"
#include "agent/sync/sync_set.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err send_batch(struct keeper *k, const uint8_t device[static 32])
{
    struct sync_batch *b = calloc(1, sizeof *b);
    struct msg m;
    if (!b)
        return ERR_NOMEM;
    enum err e = sync_batch_make(&k->agent, device, b, &m);
    if (e == ERR_OK)
        e = channel_queue(&k->courier, &m);
    if (e == ERR_OK) {
        k->courier_owes = MSG_SYNC_ANSWER;
        memcpy(k->batch_device, device, sizeof k->batch_device);
    }
    sync_batch_wipe(b);
    free(b);
    return e;
}

/* Without a file that can be read the errand goes without a proxy: perhaps it arrives all the same. */
static void read_conf(struct keeper *k)
{
    struct problem why;
    if (conf_load(k->agent.root, &k->agent.conf, &why) == ERR_OK)
        return;
    memset(&k->agent.conf, 0, sizeof k->agent.conf);
    (void)fprintf(stderr, "keeper: %s\n", why.text);
}

/* What an earlier identity of this computer left in the outbox goes first: enrolling the new one replaces the
 * certificate that it is sent with. When that failed, an enrolment that waits has the next turn. */
static bool is_formers_turn(struct keeper *k, uint8_t ret_device[static 32])
{
    struct agent *a = &k->agent;
    unsigned n = 0;
    return a->org && !(k->former_failed && enrollment_waits(a)) && identity_former(a, ret_device) == ERR_OK &&
           cache_outbox_count(a->cache, ret_device, &n) == ERR_OK && n > 0;
}

static enum err next_errand(struct keeper *k)
{
    uint8_t former[32];
    if (enrollment_done(&k->agent)) {
        keeper_export_waiting(k, NULL);
        enum err e = identity_announce(&k->agent); /* a TPM that was away may be back */
        tpm_back_look(&k->agent);
        if (e != ERR_OK)
            agent_say(&k->agent, "what waits for the device key cannot be signed yet: %s", err_text(e));
        return send_batch(k, k->agent.key.id);
    }
    if (is_formers_turn(k, former))
        return send_batch(k, former);
    if (enrollment_waits(&k->agent)) {
        const struct msg m = {.type = MSG_CSR_WANTED,
                              .csr_wanted.device = {k->agent.key.id, sizeof k->agent.key.id}};
        k->courier_owes = MSG_CSR;
        return channel_queue(&k->courier, &m);
    }
    if (k->agent.org &&
        !identity_trouble(&k->agent)) /* a lost cache does not know whether; the server does */
        return send_batch(k, k->agent.key.id);
    const struct msg idle = {.type = MSG_IDLE};
    receipt_wait_all_failed(k, "this computer is not enrolled");
    keeper_finish(k, ERRAND_SYNC, KH_EXIT_FAILED,
                  k->agent.org ? "this computer is not enrolled and has no enrolment token; enrol it again "
                                 "with a new bundle"
                               : "this computer knows no organisation; enrol it: keyholt-agent enroll "
                                 "--bundle DIR");
    return channel_queue(&k->courier, &idle);
}

/* A certificate that verified goes first: with it the next exchange is what it should be. */
static enum err batch_wanted(struct keeper *k)
{
    uint8_t pem[ENROLLMENT_PEM_MAX];
    size_t len = 0;
    read_conf(k);
    enum err e = cache_get(k->agent.cache, ENROLLMENT_CERTIFICATE, pem, sizeof pem, &len);
    if (e == ERR_OK && enrollment_certificate_check(&k->agent, (struct msg_span){pem, len}) != ERR_OK) {
        TRY(cache_unset(k->agent.cache, ENROLLMENT_CERTIFICATE)); /* of an earlier identity */
        e = ERR_NOT_FOUND;
    }
    if (e != ERR_OK)
        return e == ERR_NOT_FOUND || e == ERR_RANGE ? next_errand(k) : e;
    const struct msg m = {.type = MSG_CERTIFICATE, .certificate.pem = {pem, len}};
    k->courier_owes = MSG_CERTIFICATE_KEPT;
    return channel_queue(&k->courier, &m);
}

static enum err certificate_kept(struct keeper *k, const struct msg *m)
{
    uint32_t status = m->certificate_kept.status;
    if (status != MSG_DONE)
        (void)fprintf(stderr, "keeper: the courier cannot keep its new certificate: %.*s; %s\n",
                      (int)m->certificate_kept.problem.len, (const char *)m->certificate_kept.problem.p,
                      status == MSG_REFUSED ? "it is dropped" : "it is tried again");
    if (status == MSG_DONE || status == MSG_REFUSED) /* refused: for a key that the courier no longer has */
        TRY(cache_unset(k->agent.cache, ENROLLMENT_CERTIFICATE));
    return next_errand(k);
}

static enum err csr_arrived(struct keeper *k, const struct msg *m)
{
    struct enrollment_request *buf = calloc(1, sizeof *buf);
    struct msg out;
    if (!buf)
        return ERR_NOMEM;
    enum err e = courier_csr_key(m->csr.pem.p, m->csr.pem.len, k->courier_key);
    if (e == ERR_OK)
        e = enrollment_keep_key(&k->agent, k->courier_key);
    if (e == ERR_OK)
        e = enrollment_request(&k->agent, m->csr.pem, buf, &out);
    if (e == ERR_OK)
        keeper_export_waiting(k, &out);
    if (e == ERR_OK)
        e = channel_queue(&k->courier, &out);
    if (e == ERR_OK)
        k->courier_owes = MSG_ENROLLED;
    enrollment_request_wipe(buf);
    free(buf);
    return e;
}

static void keep_problem(struct keeper *k, struct msg_span s)
{
    if (msg_text_copy(s, k->last_problem, sizeof k->last_problem) != ERR_OK || !k->last_problem[0])
        strcpy(k->last_problem, "the errand to the server did not succeed");
}

static int exit_of_status(uint32_t status)
{
    return status == MSG_REFUSED ? KH_EXIT_NO : status == MSG_UNTRUSTED ? KH_EXIT_FAILED : KH_EXIT_QUEUED;
}

/* A sync cannot happen before the enrolment: whoever waits for one hears the same. */
static void finish_failed(struct keeper *k, uint32_t status, bool enrolling)
{
    char text[PROBLEM_MAX + 64];
    (void)snprintf(text, sizeof text, "%s; it is queued and tried again", k->last_problem);
    if (enrolling)
        keeper_finish(k, ERRAND_ENROLL, exit_of_status(status), text);
    keeper_finish(k, ERRAND_SYNC, exit_of_status(status), text);
    receipt_wait_all_failed(k, k->last_problem);
}

static enum err enrolled(struct keeper *k, const struct msg *m)
{
    k->former_failed = false;
    if (m->enrolled.status != MSG_DONE) {
        keep_problem(k, m->enrolled.problem);
        finish_failed(k, m->enrolled.status, true);
        return ERR_OK;
    }
    enum err e = courier_certificate_check(m->enrolled.certificate.p, m->enrolled.certificate.len,
                                           k->agent.org->ca, k->agent.key.id, k->courier_key);
    if (e != ERR_OK) {
        (void)snprintf(k->last_problem, sizeof k->last_problem,
                       "the certificate that came back is not the organisation's for this computer (%s)",
                       err_text(e));
        finish_failed(k, MSG_UNTRUSTED, true);
        return e; /* hung up on, so that it does not try again at once */
    }
    k->last_problem[0] = 0;
    e = enrollment_finish(&k->agent);
    if (e != ERR_OK)
        keeper_finish(
            k, ERRAND_ENROLL, KH_EXIT_FAILED,
            "the server enrolled this computer, but that cannot be kept in the cache; it is tried again");
    else
        keeper_finish(k, ERRAND_ENROLL, KH_EXIT_OK, "this computer is enrolled");
    return ERR_OK;
}

static bool is_former(const struct keeper *k)
{
    return memcmp(k->batch_device, k->agent.key.id, sizeof k->batch_device) != 0;
}

/* The enrolment, if it waits, need not wait for the next timer. */
static void former_failed(struct keeper *k)
{
    k->former_failed = true;
    if (enrollment_waits(&k->agent))
        (void)keeper_wake_courier(k);
}

static enum err apply(struct keeper *k, const struct msg *m, struct sync_outcome *ret)
{
    if (!is_former(k))
        return sync_apply(&k->agent, m, ret);
    TRY(sync_apply_former(&k->agent, k->batch_device, m, ret));
    if (ret->receipted == 0)
        former_failed(k);
    return ERR_OK;
}

/* A server that lost its database says no to everybody: the next batch says who we are, once at once. */
static void introduce(struct keeper *k, uint32_t status)
{
    if (status != MSG_REFUSED || is_former(k) || k->agent.introduce)
        return;
    k->agent.introduce = true;
    (void)keeper_wake_courier(k);
}

static enum err sync_answered(struct keeper *k, const struct msg *m)
{
    struct sync_outcome o;
    char text[200];
    if (m->sync_answer.status != MSG_DONE) {
        introduce(k, m->sync_answer.status);
        keep_problem(k, m->sync_answer.problem);
        finish_failed(k, m->sync_answer.status, false);
        if (is_former(k))
            former_failed(k);
        return ERR_OK;
    }
    enum err e = k->agent.introduce ? sync_set_forget(&k->agent) : ERR_OK;
    k->agent.introduce = false;
    if (e == ERR_OK)
        e = apply(k, m, &o);
    if (e == ERR_OK && o.receipted && !is_former(k) && !enrollment_done(&k->agent))
        e = enrollment_finish(&k->agent); /* who has receipts is enrolled */
    if (e != ERR_OK) {
        receipt_wait_all_failed(k, "a server's answer cannot be kept in the cache");
        keeper_finish(k, ERRAND_SYNC, KH_EXIT_FAILED,
                      "the server answered, but its answer cannot be kept in the cache; it is asked again");
        return ERR_OK;
    }
    k->last_problem[0] = 0;
    if (o.refused)
        (void)snprintf(
            k->last_problem, sizeof k->last_problem,
            "%u receipts, commands or policies of the server do not verify under the organisation's keys",
            o.refused);
    (void)snprintf(text, sizeof text, "synced: %u records receipted, %u waiting%s", o.receipted, o.waiting,
                   o.refused ? "; some receipts or commands did not verify" : "");
    keeper_finish(k, ERRAND_SYNC, o.refused ? KH_EXIT_FAILED : KH_EXIT_OK, text);
    receipt_wait_answered(k);
    if (o.more)
        (void)keeper_wake_courier(k);
    return ERR_OK;
}

enum err courier_message(struct keeper *k, const struct msg *m)
{
    if (m->type != (k->courier_owes ? k->courier_owes : MSG_BATCH_WANTED)) {
        (void)fprintf(stderr,
                      "keeper: the courier sent message %u, which nobody asked for; it is hung up on\n",
                      m->type);
        return ERR_FORMAT;
    }
    k->courier_owes = 0;
    switch (m->type) {
    case MSG_BATCH_WANTED:
        return batch_wanted(k);
    case MSG_CSR:
        return csr_arrived(k, m);
    case MSG_ENROLLED:
        return enrolled(k, m);
    case MSG_SYNC_ANSWER:
        return sync_answered(k, m);
    case MSG_CERTIFICATE_KEPT:
        return certificate_kept(k, m);
    default:
        return ERR_UNSUPPORTED;
    }
}

void courier_gone(struct keeper *k)
{
    k->courier_owes = 0;
    static const char text[] = "the courier went away; it is queued and tried again";
    keeper_finish(k, ERRAND_ENROLL, KH_EXIT_QUEUED, text);
    keeper_finish(k, ERRAND_SYNC, KH_EXIT_QUEUED, text);
    keeper_finish(k, ERRAND_EXPORT, KH_EXIT_QUEUED, text);
    receipt_wait_all_failed(k, "the courier went away");
}
