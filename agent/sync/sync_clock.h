#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The device's clock against the server's. Nothing depends on either: a clock that is wrong by years syncs,
 * and is reported. Both say UTC in seconds. */

#include "agent/state/agent.h"
#include "crypto/err.h"

#define SYNC_CLOCK_OFF_S 3600 /* what counts as wrong */

/* Compare; when they begin to differ by more than an hour, differ otherwise, or no longer do, an event is
 * recorded, at most once in six hours of uptime: a server's time is not signed.
 * server: 0 where it does not say. now_ms: monotonic */
MUST_CHECK enum err sync_clock_take(struct agent *a, uint64_t server, uint64_t device, int64_t now_ms);
/* Seconds that the server's clock was ahead of ours at the last sync (below zero: behind), when they differed
 * by more than an hour. err: NOT_FOUND */
MUST_CHECK enum err sync_clock_get(struct agent *a, int64_t *ret);
