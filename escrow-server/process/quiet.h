#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Devices that need not be told anything: a table in memory that the supervisor makes, the writer fills and
 * web workers read. Who asks just as the writer last answered him with nothing gets that answer from his web
 * worker, without a question to the writer, and most heartbeats are such. An entry is gone before anything
 * that concerns its device is committed, and after QUIET_S, so that what a store lost beneath a running
 * server does not count for long (while the host sleeps, that time stands). Only where both stores are SQLite
 * files: then nobody but this writer changes them. A web worker can read it and not write to it. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stdint.h>

#define QUIET_S           (6 * 3600)
#define QUIET_DEVICES_MAX (1u << 20)

/* What a device says that has nothing to say, and what it is recognised by. */
struct quiet {
    uint8_t device[32];
    uint8_t courier[32];  /* SHA-256 of the SPKI of its certificate */
    uint8_t envelopes[8]; /* the beginnings of digests and name. source: docs/formats.md#sync */
    uint8_t last[8];
    bool has_packages;
    uint8_t packages[8];
};

/* For about so many devices, 1 to QUIET_DEVICES_MAX; 48 bytes each. The memory is its owner's to write to.
 * ret_write, ret_read: the same memory, for the writer and for web workers; they stay the caller's. err:
 * RANGE, NOMEM, IO */
MUST_CHECK enum err quiet_make(uint64_t devices, int *ret_write, int *ret_read);
/* In the supervisor, before a writer starts: what an earlier one put counts no more. fd: for the writer.
 * err: IO */
MUST_CHECK enum err quiet_clear(int fd);
/* Map it; fd is closed. Until then nothing is kept and nobody quiet. err: FORMAT, NOMEM */
MUST_CHECK enum err quiet_open(int fd, bool writer);

/* The writer's. A sync is answered after its batch was committed, and between the two something else of that
 * batch may concern the device: so what was put counts only where quiet_drops() is still what it was when the
 * sync was carried out. What was put last for a device counts. cost: one SHA-256 */
uint32_t quiet_drops(const uint8_t device[static 32]);
void quiet_put(const struct quiet *q, uint32_t since);
void quiet_drop(const uint8_t device[static 32]);
/* Is this what was put last for its device, less than QUIET_S ago? */
bool quiet_has(const struct quiet *q);
