#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counters of all processes, in memory that the supervisor makes and they share: each process adds to a block
 * of its own, whoever is asked sums all blocks. A block outlives the process that had it, so that counters
 * never go back while the supervisor runs. Nothing is decided by what stands here: a taken-over web worker
 * can write what it likes. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define METRICS_BLOCKS  32
#define METRICS_CODES   14
#define METRICS_FLAGS   8
#define METRICS_BUCKETS 14 /* of a histogram, at most, with the one for all that is larger */

enum metrics_route {
    ROUTE_ENROLL,
    ROUTE_SYNC,
    ROUTE_HEALTH,
    ROUTE_READY,
    ROUTE_METRICS,
    ROUTE_OTHER,
    ROUTES
};

/* Where a series, or a family of them, begins. The order is that of metrics_text.c. */
enum metric {
    /* counters */
    METRIC_REQUESTS = 0,                                          /* by route and code: metrics_request() */
    METRIC_HANDSHAKES = METRIC_REQUESTS + ROUTES * METRICS_CODES, /* done, failed */
    METRIC_SHED = METRIC_HANDSHAKES + 2,                          /* without escrow records, with */
    METRIC_LOG_SUPPRESSED = METRIC_SHED + 2,
    METRIC_ASKED,                                 /* for the set of envelopes; put off */
    METRIC_COMMITS = METRIC_ASKED + 2,            /* by half: done, failed */
    METRIC_RECORDS = METRIC_COMMITS + 4,          /* new ones by kind */
    METRIC_RECEIPTS = METRIC_RECORDS + 4,         /* by class */
    METRIC_FLAGS = METRIC_RECEIPTS + 3,           /* by kind: metrics_flag() */
    METRIC_STARTS = METRIC_FLAGS + METRICS_FLAGS, /* by process */
    METRIC_LOSS_ORDERS = METRIC_STARTS + 5,
    METRIC_QUIET, /* heartbeats that were no question to the store */
    METRIC_DISCLOSURES,
    METRIC_REFUSALS, /* of people, by enum vault_refusal */
    METRIC_APPROVALS = METRIC_REFUSALS + 6,
    /* gauges: what its owner leaves behind counts as 0 */
    METRIC_GAUGES = METRIC_APPROVALS + 1,
    METRIC_CONNECTIONS = METRIC_GAUGES,
    METRIC_WAITING,                  /* questions to writer, reader and vault */
    METRIC_UP,                       /* by process: number of them */
    METRIC_STORE_UP = METRIC_UP + 5, /* by half: connected, and the last transaction was carried out */
    METRIC_REPLICATED = METRIC_STORE_UP + 2, /* by half: a synchronous standby had it */
    METRIC_DEVICES = METRIC_REPLICATED + 2,  /* all, silent, not approved, revoked */
    METRIC_CANARIES = METRIC_DEVICES + 4,    /* opened, not opened */
    METRIC_LOSSES = METRIC_CANARIES + 2,     /* of audit: open, acknowledged */
    METRIC_LOSS_KEYS = METRIC_LOSSES + 2,    /* by enum store_order */
    METRIC_AUDIT_WRITABLE = METRIC_LOSS_KEYS + 3,
    METRIC_BACKLOG, /* of the export, by target: file, syslog */
    METRIC_GAUGES_END = METRIC_BACKLOG + 2,
    /* histograms: buckets, sum, count */
    METRIC_COMMIT_TIME = METRIC_GAUGES_END,                        /* by half, microseconds */
    METRIC_BATCH = METRIC_COMMIT_TIME + 2 * (METRICS_BUCKETS + 2), /* requests that shared a commit */
    METRIC_RECORD_AGE = METRIC_BATCH + METRICS_BUCKETS + 2, /* seconds from the record to its arrival */
    METRIC_COUNT = METRIC_RECORD_AGE + METRICS_BUCKETS + 2
};

/* Upper bounds of a histogram's buckets, ascending; the last one is UINT64_MAX. */
extern const uint64_t metrics_time_bounds[METRICS_BUCKETS], metrics_batch_bounds[METRICS_BUCKETS],
    metrics_age_bounds[METRICS_BUCKETS];
extern const char *const metrics_flags[METRICS_FLAGS + 1]; /* kinds of flags; NULL ends them */
extern const int metrics_codes[METRICS_CODES];             /* HTTP; the last one stands for all others */

/* Make the memory and take the first block. ret_fd: to be handed to children, stays the caller's. err: IO */
MUST_CHECK enum err metrics_create(int *ret_fd);
/* In a child: map it and take a free block. Until then nothing is counted. fd is closed. err: IO, FULL */
MUST_CHECK enum err metrics_attach(int fd);
/* In the supervisor: this process ended; its gauges do not count any more and another may take its block. */
void metrics_release(pid_t pid);

/* Does what this process counts count by now? */
bool metrics_on(void);
void metrics_add(unsigned metric, uint64_t n);
void metrics_set(unsigned metric, uint64_t v);
void metrics_observe(unsigned histogram, const uint64_t bounds[static METRICS_BUCKETS], uint64_t v);
void metrics_request(enum metrics_route route, int code);
void metrics_flag(const char *kind); /* one of metrics_flags */
/* Over all processes. */
uint64_t metrics_sum(unsigned metric);

/* May something be logged about this device (or address) now? Once in a second, whichever process asks;
 * devices that share a place in a table of 4096 share the second. Refusals are counted. */
bool metrics_may_log(const void *who, size_t len);

/* metrics_text.c: everything in the text format of Prometheus 0.0.4. ret: malloc'ed. err: NOMEM */
MUST_CHECK enum err metrics_text(char **ret, size_t *ret_len);
