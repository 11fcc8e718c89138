#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside escrow-server/process/supervise*.c only: the processes that the supervisor looks after. */

#include "escrow-server/process/control.h"
#include "escrow-server/process/supervise.h"
#include <stdint.h>

#define SLOTS (CONF_WORKERS_MAX + 4)

struct slot {
    enum process_kind kind;
    unsigned index; /* of a web worker */
    pid_t pid;      /* 0: not running */
    int control;
    bool ready, was_ready, failed;
    int64_t started_ms, again_ms;
    unsigned backoff_ms;
};

struct supervisor {
    const char *root, *libexec;
    struct supervise_sockets *sockets;
    struct slot slot[SLOTS];
    unsigned n;
    int counters; /* shared memory */
    bool refused, stopping, announced;
    int64_t moved_ms;    /* when a child last got ready, or said that it goes on */
    int64_t patience_ms; /* so long after that the start has failed */
};

const char *slot_name(const struct slot *slot);
/* Start its process, which begins with one end of a control socket and nothing else.
 * err: RANGE (path), IO, NOMEM */
MUST_CHECK enum err slot_spawn(const struct supervisor *s, struct slot *slot);
/* Give a new process its sockets, and a channel to each of those that run with whom it speaks. */
void slot_connect(struct supervisor *s, struct slot *slot);
