#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The web workers, as writer and reader see them: a channel from each of them, and the loop's wait. */

#include "escrow-server/places.h"
#include "escrow-server/process/chan.h"

#define WEBS CONF_WORKERS_MAX

struct webs {
    struct chan chan[WEBS];
    void (*take_quiet)(int fd); /* the writer's: of quiet.h, takes the fd. NULL: not wanted */
};

void webs_init(struct webs *w);
void webs_close(struct webs *w);
/* Wait until something comes, at most so many ms (-1: for ever), or SIGTERM (child_hold_signals). Sends what
 * waits to be sent and takes the channels that the supervisor hands over.
 * ret_ready: which channels have something to read
 * err: OFFLINE (no supervisor, no work), IO */
MUST_CHECK enum err webs_wait(struct webs *w, int wait_ms, bool ret_ready[static WEBS]);

/* End an answer; webs_send() sends it. */
void webs_end(struct chan *c);
/* Send what was answered. What cannot be sent means that the web worker is gone; who asked it asks again. */
void webs_send(struct chan *c);
/* Answer with MSG_FAILED. detail: a sentence */
void webs_fail(struct chan *c, uint64_t id, enum err e, const char *detail);
/* It sent what is no message: close its channel, and say so. */
void webs_nonsense(struct chan *c, uint8_t type);
