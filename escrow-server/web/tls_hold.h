#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TLS session's ticket goes out in one packet with the answer that follows it, and the last answer with the
 * connection's end, not in packets of their own: a BIO between the session and its socket, which keeps one
 * small write until the next, and tells the kernel that more comes. */

#include "crypto/err.h"
#include <openssl/ssl.h>

/* Puts it before the socket that the session writes to; call before anything is written.
 * Errors: NOMEM. The session owns it. */
enum err tls_hold_put(SSL *ssl);

/* The next write, up to 256 bytes, stays here until there is another one, and goes with that. Where there is
 * none, it is lost with the session: for nothing that the peer waits for. */
void tls_hold_next(SSL *ssl);

/* What is written from now on goes in one packet with the socket's end, which follows it at once. Where it
 * does not follow, the kernel sends what is there after 0.2 s (tcp(7), TCP_CORK). */
void tls_hold_last(SSL *ssl);
