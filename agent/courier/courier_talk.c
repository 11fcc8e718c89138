/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "agent/courier/courier_talk.h"
#include "crypto/host/monotonic.h"
#include <malloc.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#define SEND_MS 10000

/* Jitter only: without random bytes the nanoseconds do. (Not cr_random(): it would bring OpenSSL, which this
 * process does without.) */
uint32_t courier_dice(void)
{
    uint32_t v;
    if (getrandom(&v, sizeof v, GRND_NONBLOCK) != (ssize_t)sizeof v) {
        struct timespec t;
        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        v = (uint32_t)t.tv_nsec * 2654435761u;
    }
    return v;
}

enum err courier_want_batch(struct courier *c)
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
        courier_schedule_done(&c->schedule, now, retry_after_s, courier_dice());
    else
        courier_schedule_failed(&c->schedule, now, wait_s, courier_dice());
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
            courier_schedule_more(&c->schedule, monotonic_ms(), courier_dice());
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

enum err courier_give_up(struct courier *c, const char *problem)
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
        return courier_give_up(c, text);
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
    return e == ERR_OK ? ERR_OK : courier_give_up(c, "the courier's errand cannot be started");
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

enum err courier_hear_keeper(struct courier *c)
{
    struct msg m;
    enum err filled = channel_fill(&c->keeper), e;
    while ((e = channel_next(&c->keeper, &m)) == ERR_OK)
        TRY(handle(c, &m));
    (void)malloc_trim(0); /* a batch is large, and we rest between timers */
    return e == ERR_NOT_FOUND ? filled : e;
}

enum err courier_hear_child(struct courier *c)
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
    e = good ? answer(c, &m) : courier_give_up(c, "the courier's errand ended without an answer");
    channel_close(&from);
    (void)malloc_trim(0);
    return e;
}
