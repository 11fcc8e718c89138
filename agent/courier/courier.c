/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier.h"
#include "crypto/host/file.h"
#include "crypto/host/monotonic.h"
#include "crypto/host/process.h"
#include "formats/names.h"
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
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEND_MS        10000
#define RECONNECT_MS   1000
#define RECONNECT_SAID 8000
#define RECONNECT_LONG 15000 /* shorter than the keeper lets a person wait for us */
#define DISLIKED_MS    2000  /* a keeper that hangs up so soon after an answer did not like it */

struct courier {
    const char *root;
    struct courier_schedule schedule;
    struct courier_servers servers;
    struct courier_child child;
    struct channel keeper;
    char socket[PATH_MAX];
    int netlink;                                  /* -1: none; the timer does without */
    uint16_t wanted;                              /* enum msg_type of what the errand under way is to bring */
    bool asked;                                   /* BATCH_WANTED is out and not settled yet */
    bool person;                                  /* for a person who waits */
    enum { AGAIN_NO, AGAIN, AGAIN_PERSON } again; /* SYNC_NOW came while an errand was under way */
    bool full;                                    /* the batch that is out holds all that one can */
    int64_t answered_ms;                          /* of the last answer; 0 when the keeper has spoken since */
};

/* Jitter only: without random bytes the nanoseconds do. (Not cr_random(): it would bring OpenSSL, which this
 * process does without.) */
static uint32_t dice(void)
{
    uint32_t v;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) != (ssize_t)sizeof v) {
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

/* An errand of the keeper's to the servers came to its end. */
static void settle(struct courier *c, uint32_t status, uint64_t retry_after_s)
{
    int64_t now = monotonic_ms();
    uint64_t wait_s = courier_servers_wait_s(&c->servers, now);
    c->asked = c->person = false;
    if (status == MSG_DONE)
        courier_schedule_done(&c->schedule, now, retry_after_s, dice());
    else
        courier_schedule_failed(&c->schedule, now, wait_s, dice());
}

static void log_problem(const struct msg_span *problem)
{
    (void)fprintf(stderr, "courier: %.*s; the next try comes by itself\n", (int)problem->len,
                  (const char *)problem->p);
}

static enum err answer(struct courier *c, const struct msg *m)
{
    enum err e = channel_send(&c->keeper, m, SEND_MS);
    c->answered_ms = monotonic_ms();
    switch (m->type) {
    case MSG_ENROLLED:
        if (m->enrolled.status != MSG_DONE)
            log_problem(&m->enrolled.problem);
        settle(c, m->enrolled.status, 0);
        if (m->enrolled.status == MSG_DONE)
            c->schedule.due_ms = monotonic_ms(); /* what waited for the enrolment */
        break;
    case MSG_SYNC_ANSWER:
        if (m->sync_answer.status != MSG_DONE)
            log_problem(&m->sync_answer.problem);
        settle(c, m->sync_answer.status, m->sync_answer.retry_after_s);
        if (m->sync_answer.status == MSG_DONE && c->full && m->sync_answer.receipts.n > 0)
            courier_schedule_more(&c->schedule, monotonic_ms(), dice());
        break;
    default: /* CSR, CERTIFICATE_KEPT: the keeper says how it goes on */
        break;
    }
    if (c->again != AGAIN_NO && !c->asked) {
        c->person = c->again == AGAIN_PERSON;
        c->again = AGAIN_NO;
        courier_schedule_wanted(&c->schedule, monotonic_ms(), c->person);
    }
    return e;
}

/* What the keeper hears when an errand brought nothing. */
static enum err give_up(struct courier *c, const char *problem)
{
    struct msg m = {.type = c->wanted};
    switch (c->wanted) {
    case MSG_ENROLLED:
        m.enrolled.status = MSG_OFFLINE;
        m.enrolled.problem = msg_text(problem);
        break;
    case MSG_SYNC_ANSWER:
        m.sync_answer.status = MSG_OFFLINE;
        m.sync_answer.problem = msg_text(problem);
        break;
    case MSG_CERTIFICATE_KEPT:
        m.certificate_kept.status = MSG_OFFLINE;
        m.certificate_kept.problem = msg_text(problem);
        break;
    default:
        (void)fprintf(stderr, "courier: %s\n", problem);
        return ERR_IO; /* the keeper cannot go on without; the connection begins anew */
    }
    return answer(c, &m);
}

static uint16_t answer_to(uint16_t type)
{
    switch (type) {
    case MSG_CSR_WANTED:
        return MSG_CSR;
    case MSG_ENROLL_DO:
        return MSG_ENROLLED;
    case MSG_CERTIFICATE:
        return MSG_CERTIFICATE_KEPT;
    default:
        return MSG_SYNC_ANSWER;
    }
}

/* The keeper names the organisation's servers; which of them are asked, and in which order, is ours. */
static enum err choose_servers(struct courier *c, struct msg_list *servers)
{
    struct msg_list pick;
    char text[64];
    courier_servers_pick(&c->servers, servers, monotonic_ms(), c->person, &pick);
    if (pick.n == 0 && servers->n > 0) {
        (void)snprintf(text, sizeof text, "the servers ask to come back in %llu seconds",
                       (unsigned long long)courier_servers_wait_s(&c->servers, monotonic_ms()));
        return give_up(c, text);
    }
    *servers = pick;
    return ERR_OK;
}

static enum err start(struct courier *c, struct msg *m)
{
    c->wanted = answer_to(m->type);
    c->full = m->type == MSG_SYNC_BATCH && m->sync_batch.records.n == MSG_LIST_MAX;
    if (m->type == MSG_SYNC_BATCH)
        TRY(choose_servers(c, &m->sync_batch.servers));
    if (m->type == MSG_ENROLL_DO)
        TRY(choose_servers(c, &m->enroll_do.servers));
    if (!c->asked)
        return ERR_OK; /* nobody is to be asked now; that was the answer */
    enum err e = courier_child_start(
        &c->child, c->root, courier_schedule_patience_ms(&c->schedule, c->person), monotonic_ms(), m);
    return e == ERR_OK ? ERR_OK : give_up(c, "the courier's errand cannot be started");
}

static void sync_wanted(struct courier *c, bool person)
{
    if (c->child.pid) { /* its batch may be older than what is new */
        if (person || c->again == AGAIN_NO)
            c->again = person ? AGAIN_PERSON : AGAIN;
        return;
    }
    c->person = c->person || person;
    if (!c->asked)
        courier_schedule_wanted(&c->schedule, monotonic_ms(), c->person);
}

static enum err handle(struct courier *c, struct msg *m)
{
    c->answered_ms = 0;
    switch (m->type) {
    case MSG_SYNC_NOW:
        sync_wanted(c, m->sync_now.person);
        return ERR_OK;
    case MSG_IDLE:
        c->asked = c->person = false;
        c->schedule.due_ms = COURIER_NEVER;
        return ERR_OK;
    case MSG_CSR_WANTED:
    case MSG_ENROLL_DO:
    case MSG_SYNC_BATCH:
    case MSG_CERTIFICATE:
        return c->asked && !c->child.pid ? start(c, m) : ERR_FORMAT;
    default:
        return ERR_FORMAT;
    }
}

static enum err read_keeper(struct courier *c)
{
    struct msg m;
    enum err filled = channel_fill(&c->keeper), e;
    while ((e = channel_next(&c->keeper, &m)) == ERR_OK)
        TRY(handle(c, &m));
    (void)malloc_trim(0); /* a batch is large, and we rest between timers */
    return e == ERR_NOT_FOUND ? filled : e;
}

/* What an errand says: how each server did, then its answer. */
static enum err read_child(struct courier *c)
{
    struct msg m;
    enum err filled = channel_fill(&c->child.channel), e;
    while ((e = channel_next(&c->child.channel, &m)) == ERR_OK && m.type == MSG_SERVER_SAID)
        courier_servers_said(&c->servers, m.server_said.server, m.server_said.status,
                             m.server_said.retry_after_s, monotonic_ms());
    if (e == ERR_NOT_FOUND && filled == ERR_OK)
        return ERR_OK; /* more is to come */
    bool good = e == ERR_OK && m.type == c->wanted;
    struct channel from = c->child.channel; /* m borrows its buffer */
    c->child.channel = (struct channel){.fd = -1};
    courier_child_end(&c->child);
    e = good ? answer(c, &m) : give_up(c, "the courier's errand ended without an answer");
    channel_close(&from);
    (void)malloc_trim(0);
    return e;
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
    if (!c->asked)
        courier_schedule_network(&c->schedule, monotonic_ms(), dice());
}

static int wait_ms(const struct courier *c)
{
    int64_t due_ms = c->child.pid ? c->child.kill_ms : c->asked ? COURIER_NEVER : c->schedule.due_ms;
    if (due_ms == COURIER_NEVER)
        return -1;
    int64_t left = due_ms - monotonic_ms();
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static enum err look_at_clock(struct courier *c)
{
    int64_t now = monotonic_ms();
    if (c->child.pid && now >= c->child.kill_ms) {
        courier_child_end(&c->child);
        return give_up(c, "the courier's errand hung and was ended");
    }
    if (!c->child.pid && !c->asked && c->schedule.due_ms != COURIER_NEVER && now >= c->schedule.due_ms)
        return want_batch(c);
    return ERR_OK;
}

static short child_events(const struct courier *c)
{
    return c->child.pid ? channel_events(&c->child.channel) : 0;
}

/* One connection to the keeper, until it ends. */
static enum err serve(struct courier *c)
{
    if (c->schedule.failures == 0 || monotonic_ms() >= c->schedule.due_ms)
        TRY(want_batch(c)); /* at start */
    for (;;) {
        TRY(look_at_clock(c));
        struct pollfd p[] = {{.fd = c->keeper.fd, .events = channel_events(&c->keeper)},
                             {.fd = c->netlink, .events = POLLIN},
                             {.fd = c->child.channel.fd, .events = child_events(c)}};
        int n = poll(p, 3, wait_ms(c));
        if (n < 0 && errno != EINTR)
            return err_from_errno(errno);
        if (n <= 0)
            continue;
        if (p[1].revents)
            read_netlink(c);
        if (p[2].revents & POLLOUT && channel_flush(&c->child.channel) != ERR_OK)
            c->child.kill_ms = 0;
        if (p[2].revents & (POLLIN | POLLHUP | POLLERR))
            TRY(read_child(c));
        if (p[0].revents)
            TRY(read_keeper(c));
    }
}

/* The keeper is gone, and with it everything that was under way for it. */
static void end_connection(struct courier *c)
{
    courier_child_end(&c->child);
    channel_close(&c->keeper);
    if (c->asked && c->schedule.due_ms == COURIER_NEVER)
        c->schedule.due_ms = monotonic_ms();
    c->asked = c->person = false;
    c->again = AGAIN_NO;
    if (c->answered_ms && monotonic_ms() - c->answered_ms < DISLIKED_MS)
        courier_schedule_failed(&c->schedule, monotonic_ms(), 0, dice());
    c->answered_ms = 0;
}

static _Noreturn void run(struct courier *c)
{
    int pause_ms = RECONNECT_MS;
    for (;;) {
        int64_t since = monotonic_ms();
        enum err e = channel_connect(c->socket, &c->keeper);
        if (e == ERR_OK) {
            e = serve(c);
            end_connection(c);
        }
        if (monotonic_ms() - since > RECONNECT_LONG)
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
    static struct courier c = {.root = "", .keeper.fd = -1, .child.channel.fd = -1};

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (o == 'r')
            c.root = optarg;
        else
            optind = argc + 1;
    if (optind != argc) {
        fputs("usage: courier [--root DIR]\n", stderr);
        return KH_EXIT_USAGE;
    }
    enum err e = process_harden(false);
    if (e == ERR_OK)
        e = file_join(c.root, KH_COURIER_SOCK, c.socket, sizeof c.socket);
    if (e != ERR_OK) {
        (void)fprintf(stderr, "courier: it cannot start: %s\n", err_text(e));
        return KH_EXIT_FAILED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    c.netlink = open_netlink();
    e = courier_sandbox(true);
    if (e != ERR_OK) {
        (void)fprintf(stderr, "courier: the system-call filter cannot be set: %s\n", err_text(e));
        return KH_EXIT_FAILED;
    }
    run(&c);
}
