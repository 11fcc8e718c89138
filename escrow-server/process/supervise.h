#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The supervisor: starts web workers, writer and vault, connects them, starts again what dies. It reads no
 * request and holds no key. */

#include "crypto/err.h"
#include "escrow-server/places.h"
#include <stdbool.h>
#include <sys/types.h>

#define SUPERVISE_DRAIN_S 8 /* for each kind of process, before it is killed */

struct supervise_sockets {
    int tcp[CONF_WORKERS_MAX]; /* one per web worker, or fewer that they share */
    unsigned n_tcp;
    int local;
    int metrics;           /* shared by all */
    int sessions;          /* tls_sessions.h, or -1 */
    int quiet, quiet_read; /* quiet.h: for the writer, and for web workers; or -1 */
};

/* Runs until SIGTERM, SIGINT or SIGHUP, then drains: nothing new is accepted, what has begun ends within
 * SUPERVISE_DRAIN_S. Prints "ready" on standard output once requests can come. Closes the sockets.
 * root:    as given to the children
 * libexec: folder of their executables
 * err: DENIED (a child refused to run as things are; it said why), TIMEOUT (some did not get ready, and
 * nobody said for start-seconds that he goes on) */
MUST_CHECK enum err supervise(const char *root, const char *libexec, const struct conf *conf,
                              struct supervise_sockets *sockets);
