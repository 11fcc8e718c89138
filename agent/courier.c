/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier.h"
#include "agent/channel.h"
#include "crypto/host/file.h"
#include "crypto/host/process.h"
#include "crypto/random.h"
#include "formats/names.h"
#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEND_MS        10000
#define RECONNECT_MS   1000
#define RECONNECT_SAID 8000
#define RECONNECT_LONG 15000 /* shorter than the keeper lets a person wait for us */

struct courier {
    struct courier_identity identity;
    struct courier_schedule schedule;
    struct channel keeper;
    char socket[PATH_MAX];
    int netlink; /* -1: none; the timer does without */
    bool asked;  /* BATCH_WANTED is out, no answer yet */
};

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint32_t dice(void)
{
    uint32_t v;
    /* Jitter only: without random bytes the nanoseconds do. */
    if (cr_random(&v, sizeof v) != ERR_OK) {
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        v = (uint32_t)t.tv_nsec * 2654435761u;
    }
    return v;
}

static enum err want_batch(struct courier *c)
{
    const struct msg m = {.type = MSG_BATCH_WANTED};
    c->schedule.due_ms = COURIER_NEVER; /* until the keeper has answered */
    c->asked = true;
    return channel_send(&c->keeper, &m, SEND_MS);
}

static void settle(struct courier *c, const struct courier_answer *a, uint64_t retry_after_s)
{
    c->asked = false;
    if (a->status == MSG_DONE) {
        courier_schedule_done(&c->schedule, now_ms(), retry_after_s, dice());
        return;
    }
    (void)fprintf(stderr, "courier: %s; the next try comes by itself\n", a->problem);
    courier_schedule_failed(&c->schedule, now_ms(), a->retry_after_s, dice());
}

static void refuse(struct courier_answer *a, const char *what, enum err e)
{
    a->status = MSG_REFUSED;
    (void)snprintf(a->problem, sizeof a->problem, "%s: %s", what, err_text(e));
}

static enum err send_csr(struct courier *c, const struct msg *m)
{
    char pem[COURIER_PEM_MAX];
    if (m->csr_wanted.device.len != 32)
        return ERR_FORMAT;
    enum err e = courier_identity_csr(&c->identity, m->csr_wanted.device.p, pem);
    if (e != ERR_OK) {
        (void)fprintf(stderr, "courier: %s: the TLS key cannot be made or read: %s\n", c->identity.key,
                      err_text(e));
        return e;
    }
    const struct msg answer = {.type = MSG_CSR, .csr.pem = msg_text(pem)};
    return channel_send(&c->keeper, &answer, SEND_MS);
}

static enum err enroll(struct courier *c, const struct msg *m)
{
    struct courier_answer a;
    char *json, *certificate = NULL;

    TRY(courier_enroll_request(m, &json));
    const struct courier_request r = {
        .servers = &m->enroll_do.servers, .ca = m->enroll_do.ca, .path = "/v1/enroll", .json = json};
    courier_post(&r, &a);
    free(json);
    if (a.status == MSG_DONE) {
        enum err e = courier_enroll_answer(a.body, a.body_len, &certificate);
        if (e == ERR_OK)
            e = courier_identity_keep(&c->identity, certificate);
        if (e != ERR_OK)
            refuse(&a, "the server's answer to the enrolment cannot be used", e);
    }
    const struct msg answer = {
        .type = MSG_ENROLLED,
        .enrolled = {.status = a.status,
                     .certificate = a.status == MSG_DONE ? msg_text(certificate) : (struct msg_span){0},
                     .problem = msg_text(a.problem)}};
    enum err e = channel_send(&c->keeper, &answer, SEND_MS);
    settle(c, &a, 0);
    if (a.status == MSG_DONE)
        c->schedule.due_ms = now_ms(); /* what waited for the enrolment */
    free(certificate);
    free(a.body);
    return e;
}

static enum err sync_now(struct courier *c, const struct msg *m)
{
    struct courier_answer a;
    struct msg answer = {.type = MSG_SYNC_ANSWER};
    uint8_t *arena = NULL;
    char *json;
    bool full = m->sync_batch.records.n == MSG_LIST_MAX;

    TRY(courier_sync_request(m, &json));
    const struct courier_request r = {.servers = &m->sync_batch.servers,
                                      .ca = m->sync_batch.ca,
                                      .path = "/v1/sync",
                                      .as = &c->identity,
                                      .json = json};
    courier_post(&r, &a);
    free(json);
    if (a.status == MSG_DONE) {
        enum err e = courier_sync_answer(a.body, a.body_len, &answer, &arena);
        if (e != ERR_OK)
            refuse(&a, "the server's answer to the sync cannot be used", e);
    }
    if (a.status != MSG_DONE)
        answer.sync_answer.retry_after_s = a.retry_after_s;
    answer.sync_answer.status = a.status;
    answer.sync_answer.problem = msg_text(a.problem);
    enum err e = channel_send(&c->keeper, &answer, SEND_MS);
    settle(c, &a, answer.sync_answer.retry_after_s);
    if (a.status == MSG_DONE && full && answer.sync_answer.receipts.n > 0)
        c->schedule.due_ms = now_ms(); /* a full batch: more waits behind it */
    free(arena);
    free(a.body);
    return e;
}

static enum err handle(struct courier *c, const struct msg *m)
{
    switch (m->type) {
    case MSG_SYNC_NOW:
        return c->asked ? ERR_OK : want_batch(c);
    case MSG_IDLE:
        c->asked = false;
        c->schedule.due_ms = COURIER_NEVER;
        return ERR_OK;
    case MSG_CSR_WANTED:
        return send_csr(c, m);
    case MSG_ENROLL_DO:
        return enroll(c, m);
    case MSG_SYNC_BATCH:
        return sync_now(c, m);
    default:
        return ERR_FORMAT;
    }
}

static enum err read_keeper(struct courier *c)
{
    struct msg m;
    enum err filled = channel_fill(&c->keeper), e;
    while ((e = channel_next(&c->keeper, &m)) == ERR_OK) {
        TRY(handle(c, &m));
        (void)malloc_trim(0); /* at rest between timers: give back what TLS needed */
    }
    return e == ERR_NOT_FOUND ? filled : e;
}

static int open_netlink(void)
{
    const struct sockaddr_nl a = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* Any message will do: addresses change, so the way to a server may be open now. What it says is not read. */
static void read_netlink(struct courier *c)
{
    char drop[8192];
    while (recv(c->netlink, drop, sizeof drop, 0) > 0)
        ;
    courier_schedule_network(&c->schedule, now_ms(), dice());
}

static int wait_ms(int64_t due_ms)
{
    if (due_ms == COURIER_NEVER)
        return -1;
    int64_t left = due_ms - now_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* One connection to the keeper, until it ends. */
static enum err serve(struct courier *c)
{
    TRY(want_batch(c));
    for (;;) {
        struct pollfd p[] = {{.fd = c->keeper.fd, .events = channel_events(&c->keeper)},
                             {.fd = c->netlink, .events = POLLIN}};
        int n = poll(p, 2, wait_ms(c->schedule.due_ms));
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n > 0 && p[1].revents)
            read_netlink(c);
        if (n > 0 && p[0].revents)
            TRY(read_keeper(c));
        if (!c->asked && c->schedule.due_ms != COURIER_NEVER && now_ms() >= c->schedule.due_ms)
            TRY(want_batch(c));
    }
}

static _Noreturn void run(struct courier *c)
{
    int pause_ms = RECONNECT_MS;
    for (;;) {
        int64_t since = now_ms();
        enum err e = channel_connect(c->socket, &c->keeper);
        if (e == ERR_OK) {
            e = serve(c);
            channel_close(&c->keeper);
        }
        if (now_ms() - since > RECONNECT_LONG)
            pause_ms = RECONNECT_MS; /* it was a real connection, not one that ends at once again and again */
        if (pause_ms == RECONNECT_SAID) /* at boot the keeper is a little later, which is no news */
            (void)fprintf(stderr, "courier: %s: no keeper (%s); waiting for it\n", c->socket, err_text(e));
        (void)poll(NULL, 0, pause_ms);
        pause_ms = pause_ms * 2 < RECONNECT_LONG ? pause_ms * 2 : RECONNECT_LONG;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"root", required_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
    static struct courier c = {.keeper = {.fd = -1}};
    const char *root = "";

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (o == 'r')
            root = optarg;
        else
            optind = argc + 1;
    if (optind != argc) {
        fputs("usage: courier [--root DIR]\n", stderr);
        return KH_EXIT_USAGE;
    }
    enum err e = process_harden(false);
    if (e == ERR_OK)
        e = courier_identity_init(&c.identity, root);
    if (e == ERR_OK)
        e = file_join(root, KH_COURIER_SOCK, c.socket, sizeof c.socket);
    if (e != ERR_OK || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)fprintf(stderr, "courier: %s" KH_COURIER_STATE ": cannot be used: %s\n", root, err_text(e));
        return KH_EXIT_FAILED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    c.netlink = open_netlink();
    e = courier_sandbox();
    if (e != ERR_OK) {
        (void)fprintf(stderr, "courier: the system-call filter cannot be set: %s\n", err_text(e));
        return KH_EXIT_FAILED;
    }
    run(&c);
}
