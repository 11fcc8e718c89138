#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The listening sockets, opened by the supervisor and kept across a worker's restart. */

#include "crypto/err.h"
#include <stddef.h>

#define LISTEN_TEXT 96

/* One socket per worker on the same address, so that the kernel spreads connections (SO_REUSEPORT).
 * where:    "127.0.0.1:8443", "[::1]:8443"; port 0 takes a free one
 * ret_fds:  n sockets, close-on-exec, non-blocking
 * ret_name: the address that came of it
 * err: FORMAT (no address), CONFLICT (in use), NOT_FOUND (not this machine's), DENIED, IO */
MUST_CHECK enum err listen_tcp(const char *where, unsigned n, int *ret_fds,
                               char ret_name[static LISTEN_TEXT]);
/* What a person reads of that. Never NULL. */
const char *listen_why(enum err e);
/* One socket alone, as for /metrics. */
MUST_CHECK enum err listen_one(const char *where, int *ret_fd);
/* The address that a socket listens at. */
MUST_CHECK enum err listen_name(int fd, char ret[static LISTEN_TEXT]);
/* The local socket, only for its owner (root, or whoever runs the server); an old one is replaced.
 * err: RANGE (path too long for a socket), IO */
MUST_CHECK enum err listen_local(const char *path, int *ret_fd);
/* Connect to it. send_s: seconds that a send() waits at most
 * err: NOT_FOUND (no socket there), OFFLINE (nobody listens), BUSY (its backlog was full for two seconds),
 *      DENIED, RANGE */
MUST_CHECK enum err listen_local_connect(const char *path, unsigned send_s, int *ret_fd);
