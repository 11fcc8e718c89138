#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The courier: the agent's process that waits for the right moment to speak to a server. For each errand it
 * starts a process of its own (agent/courier/errand.h), so that at rest neither TLS nor HTTP is in memory,
 * and so that whatever hangs can be ended. Hosted. */

#include "agent/channel.h"
#include "agent/msg.h"
#include "crypto/err.h"
#include "formats/org.h"
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define COURIER_PATIENCE_MS 2800L  /* a dead server may cost 3 s, with the errand's start */
#define COURIER_LATER_MS    12000L /* the same, after COURIER_TRIES failures in a row and when nobody waits */
#define COURIER_TRIES       3
#define COURIER_ALL_MS      60000L /* all servers together; shorter than the keeper lets a person wait */
#define COURIER_KILL_MS     65000  /* an errand that has not ended by then is ended */

/* When to go (courier_schedule.c): no clock and no dice of its own. */
struct courier_schedule {
    int64_t due_ms;        /* monotonic; COURIER_NEVER: when the keeper calls */
    int64_t not_before_ms; /* a server's Retry-After; binds all but a person's command */
    unsigned failures;     /* in a row */
};
#define COURIER_NEVER INT64_MAX
/* It worked: come back when the server says (or in 90 minutes), a sixth more or less. */
void courier_schedule_done(struct courier_schedule *s, int64_t now_ms, uint64_t retry_after_s,
                           uint32_t random);
/* It worked, and more waits: in one to three seconds. */
void courier_schedule_more(struct courier_schedule *s, int64_t now_ms, uint32_t random);
/* It did not: 15 s, 30 s, … up to an hour, half of it by chance; never before Retry-After. */
void courier_schedule_failed(struct courier_schedule *s, int64_t now_ms, uint64_t retry_after_s,
                             uint32_t random);
/* An address appeared: when the last errand failed, try again within a few seconds. */
void courier_schedule_network(struct courier_schedule *s, int64_t now_ms, uint32_t random);
/* The keeper has something new, or a person asks: at once, but for Retry-After, which a person may ignore. */
void courier_schedule_wanted(struct courier_schedule *s, int64_t now_ms, bool person);
/* How long one server may be silent. A line on which nothing ever worked is perhaps slow: then, and when
 * nobody waits for the outcome, longer. */
long courier_schedule_patience_ms(const struct courier_schedule *s, bool person);

/* Whom to ask (courier_servers.c): those of org.json in its order; the one that worked last goes first for
 * some hours, then the order counts again. One that said Retry-After is left alone until then. */
struct courier_server {
    char url[ORG_TEXT + 1];
    int64_t not_before_ms;
};
struct courier_servers {
    unsigned n, preferred; /* preferred: n for none */
    int64_t preferred_until_ms;
    struct courier_server item[ORG_SERVERS];
};
/* org: as org.json names them. ret: those to ask now, in order; borrows s. person: those with a
 * Retry-After, too */
void courier_servers_pick(struct courier_servers *s, const struct msg_list *org, int64_t now_ms, bool person,
                          struct msg_list *ret);
/* One was asked. status: enum msg_status */
void courier_servers_said(struct courier_servers *s, struct msg_span url, uint32_t status,
                          uint64_t retry_after_s, int64_t now_ms);
/* Seconds until one may be asked; 0: now. */
uint64_t courier_servers_wait_s(const struct courier_servers *s, int64_t now_ms);

/* The errand under way (courier_child.c). */
struct courier_child {
    pid_t pid; /* 0: none */
    struct channel channel;
    int64_t kill_ms;
};
/* Start one with this message. err: NOMEM, IO, RANGE */
MUST_CHECK enum err courier_child_start(struct courier_child *c, const char *root, long patience_ms,
                                        int64_t now_ms, const struct msg *m);
/* Reap it; one that still runs is killed. Harmless without one. */
void courier_child_end(struct courier_child *c);

/* Give up every system call that this process does not need (courier_sandbox.c), for good. may_start: the
 * courier, which starts errands; they give up that, too. err: NOMEM, INTERNAL (the kernel refuses it) */
MUST_CHECK enum err courier_sandbox(bool may_start);
