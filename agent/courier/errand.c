/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/errand.h"
#include "agent/channel.h"
#include "agent/courier/courier.h"
#include "crypto/host/process.h"
#include "formats/names.h"
#include <curl/curl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#define SEND_MS 10000

struct errand {
    struct channel courier;
    struct errand_identity identity;
    long patience_ms;
};

static void refuse(struct errand_answer *a, const char *what, enum err e)
{
    a->status = MSG_REFUSED;
    (void)snprintf(a->problem, sizeof a->problem, "%s: %s", what, err_text(e));
}

/* Only advice: when it is lost, the courier asks the servers in the organisation's order. */
static void said(void *ctx, struct msg_span server, uint32_t status, uint64_t retry_after_s)
{
    struct errand *r = ctx;
    const struct msg m = {
        .type = MSG_SERVER_SAID,
        .server_said = {.server = server, .status = status, .retry_after_s = retry_after_s}};
    if (channel_queue(&r->courier, &m) != ERR_OK)
        (void)fprintf(stderr, "courier: how a server did cannot be remembered\n");
}

static enum err send_csr(struct errand *r, const struct msg *m)
{
    char pem[ERRAND_PEM_MAX];
    if (m->csr_wanted.device.len != 32)
        return ERR_FORMAT;
    enum err e = errand_identity_csr(&r->identity, m->csr_wanted.device.p, pem);
    if (e != ERR_OK) {
        (void)fprintf(stderr, "courier: %s: the TLS key cannot be made or read: %s\n", r->identity.key,
                      err_text(e));
        return e;
    }
    const struct msg answer = {.type = MSG_CSR, .csr.pem = msg_text(pem)};
    return channel_send(&r->courier, &answer, SEND_MS);
}

static enum err enroll(struct errand *r, const struct msg *m)
{
    struct errand_answer a;
    char *json, *certificate = NULL;

    TRY(errand_enroll_request(m, &json));
    const struct errand_request q = {.servers = &m->enroll_do.servers,
                                     .ca = m->enroll_do.ca,
                                     .proxy = m->enroll_do.proxy,
                                     .no_proxy = m->enroll_do.no_proxy,
                                     .path = "/v1/enroll",
                                     .json = json,
                                     .patience_ms = r->patience_ms,
                                     .said = said,
                                     .said_ctx = r};
    errand_post(&q, &a);
    free(json);
    if (a.status == MSG_DONE) {
        enum err e = errand_enroll_answer(a.body, a.body_len, &certificate);
        if (e == ERR_OK)
            e = errand_identity_keep(&r->identity, certificate);
        if (e != ERR_OK)
            refuse(&a, "the server's answer to the enrolment cannot be used", e);
    }
    const struct msg answer = {
        .type = MSG_ENROLLED,
        .enrolled = {.status = a.status,
                     .certificate = a.status == MSG_DONE ? msg_text(certificate) : (struct msg_span){0},
                     .problem = msg_text(a.problem)}};
    enum err e = channel_send(&r->courier, &answer, SEND_MS);
    free(certificate);
    free(a.body);
    return e;
}

static enum err sync_now(struct errand *r, const struct msg *m)
{
    struct errand_answer a;
    struct msg answer = {.type = MSG_SYNC_ANSWER};
    uint8_t *arena = NULL;
    char *json;

    TRY(errand_sync_request(m, &json));
    const struct errand_request q = {.servers = &m->sync_batch.servers,
                                     .ca = m->sync_batch.ca,
                                     .proxy = m->sync_batch.proxy,
                                     .no_proxy = m->sync_batch.no_proxy,
                                     .path = "/v1/sync",
                                     .as = &r->identity,
                                     .json = json,
                                     .patience_ms = r->patience_ms,
                                     .said = said,
                                     .said_ctx = r};
    errand_post(&q, &a);
    free(json);
    if (a.status == MSG_DONE) {
        enum err e = errand_sync_answer(a.body, a.body_len, &answer, &arena);
        if (e != ERR_OK)
            refuse(&a, "the server's answer to the sync cannot be used", e);
        else if (answer.sync_answer.time == 0) /* a brief one leaves it to its header */
            answer.sync_answer.time = a.time;
    }
    if (a.status != MSG_DONE)
        answer.sync_answer.retry_after_s = a.retry_after_s;
    answer.sync_answer.status = a.status;
    answer.sync_answer.problem = msg_text(a.problem);
    enum err e = channel_send(&r->courier, &answer, SEND_MS);
    free(arena);
    free(a.body);
    return e;
}

static enum err keep(struct errand *r, const struct msg *m)
{
    char pem[ERRAND_PEM_MAX];
    struct msg answer = {.type = MSG_CERTIFICATE_KEPT, .certificate_kept.status = MSG_DONE};
    enum err e = msg_text_copy(m->certificate.pem, pem, sizeof pem);
    if (e == ERR_OK)
        e = errand_identity_keep(&r->identity, pem);
    if (e != ERR_OK) {
        bool never = e == ERR_AUTH || e == ERR_FORMAT || e == ERR_RANGE || e == ERR_NOT_FOUND;
        answer.certificate_kept.status = never ? MSG_REFUSED : MSG_OFFLINE;
        answer.certificate_kept.problem = msg_text(err_text(e));
    }
    return channel_send(&r->courier, &answer, SEND_MS);
}

static enum err run(struct errand *r)
{
    struct msg m;
    TRY(channel_recv(&r->courier, SEND_MS, &m));
    switch (m.type) {
    case MSG_CSR_WANTED:
        return send_csr(r, &m);
    case MSG_ENROLL_DO:
        return enroll(r, &m);
    case MSG_SYNC_BATCH:
        return sync_now(r, &m);
    case MSG_CERTIFICATE:
        return keep(r, &m);
    default:
        return ERR_UNSUPPORTED;
    }
}

static enum err prepare(struct errand *r, const char *root)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* the courier's end is ours */
    (void)signal(SIGPIPE, SIG_IGN);
    TRY(process_harden(false));
    TRY(errand_identity_init(&r->identity, root));
    channel_adopt(ERRAND_FD, &r->courier);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ERR_NOMEM;
    return courier_sandbox(false);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"root", required_argument, NULL, 'r'},
                                            {"patience", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    struct errand r = {.patience_ms = COURIER_PATIENCE_MS};
    const char *root = "";

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (o == 'r')
            root = optarg;
        else if (o == 'p')
            r.patience_ms = strtol(optarg, NULL, 10);
        else
            optind = argc + 1;
    if (optind != argc || r.patience_ms < 1 || r.patience_ms > COURIER_ALL_MS) {
        fputs("usage: errand [--root DIR] [--patience MILLISECONDS]   (the courier starts it)\n", stderr);
        return KH_EXIT_USAGE;
    }
    enum err e = prepare(&r, root);
    if (e == ERR_OK)
        e = run(&r);
    if (e == ERR_OK)
        return KH_EXIT_OK;
    (void)fprintf(stderr, "courier: %s" KH_COURIER_STATE ": an errand cannot be done: %s\n", root,
                  err_text(e));
    return KH_EXIT_FAILED;
}
