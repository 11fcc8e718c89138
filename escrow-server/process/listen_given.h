#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listening sockets that whoever started us holds open (socket activation), so that no connection is refused
 * while the server restarts; and the word to him that we are ready. Both are protocols of systemd, spoken
 * without its library. source: sd_listen_fds(3), sd_notify(3) */

#include "crypto/err.h"
#include "escrow-server/places.h"

struct listen_given {
    int tcp[CONF_WORKERS_MAX]; /* for devices; -1 behind the last one */
    unsigned n_tcp;
    int local;   /* the local socket, or -1 */
    int metrics; /* a socket named "metrics", or -1 */
};

/* Takes LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES out of the environment. None given is no failure.
 * err: FORMAT (a descriptor that is no listening stream socket; the log says which), RANGE (too many) */
MUST_CHECK enum err listen_given(struct listen_given *ret);

/* Tell $NOTIFY_SOCKET, where there is one: "READY=1", "STOPPING=1". Nobody there is no failure. */
void listen_notify(const char *state);
