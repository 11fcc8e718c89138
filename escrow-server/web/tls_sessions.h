#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TLS sessions that any web worker can resume: a table in memory that the supervisor makes and all workers
 * share, so it outlives each of them. A session stands for its courier's certificate, which is never kept:
 * OpenSSL would decode it again at each resumption. Who a device is, and whether it was revoked, is asked at
 * every request all the same. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_SESSIONS_MAX (1u << 20)
#define TLS_SESSION_S    (6 * 3600) /* longer than devices stay away as a rule (sync-every-seconds) */
#define TLS_SESSION_ID   32
#define TLS_SESSION_NOTE 192 /* bytes of the application's that a session can carry */

struct tls_session {
    uint8_t id[TLS_SESSION_ID]; /* random */
    uint64_t time;              /* when it began, seconds; 0: free */
    uint8_t key[48], key_len, cipher[2], note_len, note[TLS_SESSION_NOTE];
};

/* A new, empty table, for at least n sessions; sizeof(struct tls_session) each, taken when they come.
 * ret: close-on-exec; it is handed over by control.h. err: RANGE, NOMEM */
MUST_CHECK enum err tls_sessions_make(uint64_t n, int *ret_fd);
/* Use the table of a descriptor, which is closed, in this process. err: FORMAT (no such table), NOMEM */
MUST_CHECK enum err tls_sessions_open(int fd);
/* Keep one; the oldest in its places gives way. */
void tls_sessions_put(const struct tls_session *e);
/* Change the note of one that is there. len: at most TLS_SESSION_NOTE */
void tls_sessions_note(const uint8_t id[static TLS_SESSION_ID], const void *note, size_t len);
/* Take one out: a ticket is good for one handshake. False: not there, or too old. */
bool tls_sessions_take(const uint8_t id[static TLS_SESSION_ID], struct tls_session *ret);
