#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When to make a report: some time after start, each day, and when devices or mounts have changed. Wakes
 * nobody in between: one timer that counts through suspend without ending it, a watch on /dev, one on the
 * table of mounts. */

#include "agent/state/agent.h"
#include "crypto/err.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#define REPORTER_FDS      3
#define REPORTER_DAY_MS   (24L * 3600 * 1000)
#define REPORTER_START_MS 30000 /* boot has other things to do, and disks come late */

struct reporter {
    int timer_fd, dev_fd, mount_fd;
    long start_ms;           /* after start; REPORTER_START_MS but in tests */
    int64_t last_ms;         /* when all was looked at last, monotonic; -1 not yet */
    bool soon;               /* the timer runs because something changed */
    void (*made)(void *ctx); /* a report was queued */
    void *ctx;
};

/* err: IO, NOMEM */
MUST_CHECK enum err reporter_open(struct reporter *r, const struct agent *a);
void reporter_close(struct reporter *r);
/* What to wait for. */
void reporter_poll(const struct reporter *r, struct pollfd ret[static REPORTER_FDS]);
/* Do what is due. p: as poll() left it. now_ms: monotonic */
void reporter_run(struct reporter *r, struct agent *a, const struct pollfd p[static REPORTER_FDS],
                  int64_t now_ms);
/* Something changed that a report may tell of: look in a few seconds. */
void reporter_soon(struct reporter *r, int64_t now_ms);
