#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the supervisor hands to its children: file descriptors, over a socketpair at a fixed number. When
 * the supervisor is gone the socket closes, and the child ends. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stdint.h>

#define CONTROL_FD      3
#define CONTROL_REFUSED 78 /* exit code of a child that must not run as things are */

enum control_what {
    CONTROL_LISTEN_TCP = 1, /* to a web worker: its listening socket */
    CONTROL_LISTEN_UNIX,    /* to a web worker: the local socket */
    CONTROL_SESSIONS,       /* to a web worker: shared memory, tls_sessions.h */
    CONTROL_PEER_WRITER,    /* to a web worker: its channel to the writer, replacing an older one */
    CONTROL_PEER_VAULT,
    CONTROL_PEER_WEB,       /* to writer, reader and vault: one more channel */
    CONTROL_READY,          /* to the supervisor, without a descriptor */
    CONTROL_LISTEN_METRICS, /* to a web worker: where /metrics is asked for */
    CONTROL_COUNTERS,       /* to all: shared memory, metrics.h */
    CONTROL_PEER_EXPORT,    /* to the vault: the exporter's channel, replacing an older one */
    CONTROL_PEER_READER,    /* to a web worker: its channel to the reader, replacing an older one */
    CONTROL_QUIET,          /* to the writer and to web workers: shared memory, quiet.h */
    CONTROL_WORKING         /* to the supervisor: not ready yet, and not stuck */
};

/* fd: sent along, or -1; stays the caller's. err: OFFLINE */
MUST_CHECK enum err control_send(int socket, enum control_what what, int fd);
/* Does not wait. ret_fd: the caller's, close-on-exec, or -1.
 * err: NOT_FOUND (nothing there), OFFLINE (the other end is gone), FORMAT */
MUST_CHECK enum err control_receive(int socket, enum control_what *ret_what, int *ret_fd);
