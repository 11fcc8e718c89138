#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The exporter: brings each entry of the vault's log to a file of JSON lines and to a syslog receiver. It
 * asks the vault for the next piece when it has got rid of the last, so a receiver that is dead or slow holds
 * up nothing but itself; where it stands is in a file of its own, so each entry goes out at least once. */

#include "crypto/err.h"
#include "escrow-server/process/chan.h"
#include "escrow-server/process/msg.h"
#include <limits.h>
#include <stdbool.h>

#define EXPORT_RETRY_MIN_MS 200
#define EXPORT_RETRY_MAX_MS 10000
#define EXPORT_SEND_BUFFER  32768
#define EXPORT_AGAIN                                                                                         \
    256 /* entries sent again after a connection broke: what the buffers held may be lost                    \
         */
#define EXPORT_OUT_MAX (160u << 10) /* a piece of the log with what is put before each line */

enum export_kind { EXPORT_FILE = 1, EXPORT_SYSLOG };

struct export_target {
    enum export_kind kind;
    const char *address; /* borrowed; of the configuration */
    const char *place;   /* file with the position */
    char chain[33];      /* of the log that it stands in */
    uint64_t done, last; /* entries that are out; the last one in the piece at hand */
    bool asked;
    int fd; /* of a syslog receiver; -1: not connected */
    bool connecting;
    char *out; /* the piece at hand, in its form */
    size_t len, off;
    int64_t again_ms;
    unsigned retry_ms;
};

struct exporter {
    struct chan vault;
    struct msg_head head;
    struct export_target target[2];
    unsigned n;
    char host[256];
};

/* export_target.c */
/* Where it stood. err: IO (a file that is there and cannot be read) */
MUST_CHECK enum err export_load(struct export_target *t);
/* Take a piece of the log. err: FORMAT, NOMEM */
MUST_CHECK enum err export_take(struct exporter *x, struct export_target *t, const struct msg_lines *m);
/* Go on with the piece at hand; never waits. What fails is tried again later. */
void export_push(struct export_target *t);
/* The receiver's end. revents: of poll() on t->fd */
void export_turn(struct export_target *t, short revents);
void export_close(struct export_target *t);

/* export_form.c: one entry, as it goes out. ret: room of AUDIT_LINE_MAX + 512 bytes
 * err: FORMAT */
MUST_CHECK enum err export_form(enum export_kind kind, bool counted, const char *host, const char *line,
                                size_t len, char *ret, size_t *ret_len);

/* export_syslog.c: tcp://ADDRESS:PORT, udp://ADDRESS:PORT, or the path of a datagram socket; numeric, without
 * waiting. ret_fd: connected, or on its way (*ret_connecting)
 * err: FORMAT (the address), OFFLINE */
MUST_CHECK enum err export_dial(const char *address, int *ret_fd, bool *ret_connecting);
static inline bool export_is_stream(const char *address)
{
    return address[0] == 't';
}
