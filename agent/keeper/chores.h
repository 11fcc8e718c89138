#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the keeper does unasked: looks at every keyslot when it is time and when a header was written, and
 * does what that, or a server's answer, made necessary. Wakes nobody in between: one timer that counts
 * through suspend but does not end it, and one watch on the volumes' device nodes, which speaks when a writer
 * closes one (what goes through an unlocked volume opens no node, so ordinary work is silent). */

#include "agent/state/agent.h"
#include "crypto/err.h"

#define CHORES_FDS 2

struct chores {
    int timer_fd, watch_fd;
    uint32_t hours;          /* what the timer was set to */
    int64_t look_ms;         /* a header was written: when to look; -1 no */
    int64_t looked_ms;       /* when that was done last */
    void (*done)(void *ctx); /* something may be in the outbox */
    void *ctx;
};

/* Call it when every volume was just looked at. err: IO, NOMEM */
MUST_CHECK enum err chores_open(struct chores *c, struct agent *a);
void chores_close(struct chores *c);
/* What to wait for besides (both readable), and how long at most: milliseconds, -1 for ever. now_ms:
 * monotonic */
void chores_fds(const struct chores *c, int ret[static CHORES_FDS]);
int64_t chores_wait_ms(const struct chores *c, int64_t now_ms);
/* Do what is due. */
void chores_run(struct chores *c, struct agent *a, int64_t now_ms);
/* A volume may be new, or on another device: watch what is remembered now. */
void chores_watch(const struct chores *c, struct agent *a);
/* Look at every volume now, and do what that makes necessary. */
void chores_look(struct chores *c, struct agent *a);
