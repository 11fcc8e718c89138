#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An errand: the process that the courier starts for one exchange with the organisation's servers, or for a
 * look at the courier's TLS key. It speaks TLS and HTTP, reads what the network brings, answers with one
 * message on file descriptor 3, and ends; so none of that stays in memory between timers. It carries records
 * as bytes, knows no secret but the TLS key and a proxy's password, and decides nothing: the keeper verifies.
 * Hosted. */

#include "agent/msg.h"
#include "crypto/err.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ERRAND_FD       3
#define ERRAND_BODY_MAX (1u << 20) /* inflated bytes of an answer. source: docs/formats.md#sync */
#define ERRAND_PEM_MAX  8192
#define ERRAND_TEXT_MAX 512
#define ERRAND_URL_MAX  512

/* Identity (errand_identity.c): the TLS key and certificate in the state folder. */
struct errand_identity {
    char key[PATH_MAX], certificate[PATH_MAX]; /* paths of the PEM files */
};
/* err: RANGE (path too long), IO */
MUST_CHECK enum err errand_identity_init(struct errand_identity *id, const char *root);
/* Load the key, or make one (EC P-256, 0600), and sign a request with it whose CN is the device ID in hex.
 * ret: ERRAND_PEM_MAX characters. err: FULL, DENIED, IO, INTERNAL */
MUST_CHECK enum err errand_identity_csr(const struct errand_identity *id, const uint8_t device[static 32],
                                        char *ret);
/* Keep a certificate when it is one for our key; a power cut leaves the old one or the new one.
 * err: AUTH (for another key), FORMAT, FULL, DENIED, IO */
MUST_CHECK enum err errand_identity_keep(const struct errand_identity *id, const char *pem);

/* Time (errand_patience.c). A server that gives no sign of life costs base_ms in all, from name to last byte.
 * Every 4 KiB that it takes or sends renew that, so that a slow line can carry a large batch, and
 * somebody who sends a byte a second cannot. No clock of its own. */
struct errand_patience {
    int64_t base_ms, due_ms;
    int64_t end_ms; /* for all servers together */
    uint64_t counted;
};
void errand_patience_start(struct errand_patience *p, int64_t now_ms); /* with the next server */
/* moved: bytes taken and received so far on this connection */
void errand_patience_moved(struct errand_patience *p, int64_t now_ms, uint64_t moved);
/* Milliseconds left, 0 when there are none. */
int64_t errand_patience_left(const struct errand_patience *p, int64_t now_ms);

/* One post to the servers (errand_post.c). */
struct errand_request {
    const struct msg_list *servers;   /* https://host:port, tried in order */
    struct msg_span ca;               /* PEM; the only CA that is trusted */
    struct msg_span proxy, no_proxy;  /* of agent.conf; may be empty */
    const char *path;                 /* "/v1/sync" */
    const struct errand_identity *as; /* client certificate, NULL for none */
    const char *json;
    long patience_ms; /* for one server */
    /* told how each server that was asked did; may be NULL */
    void (*said)(void *ctx, struct msg_span server, uint32_t status, uint64_t retry_after_s);
    void *said_ctx;
};
struct errand_answer {
    uint32_t status;               /* enum msg_status */
    char problem[ERRAND_TEXT_MAX]; /* a sentence, empty when status is MSG_DONE */
    char *body; /* of an answer 200: at most ERRAND_BODY_MAX bytes and a zero byte; free() it */
    size_t body_len;
    uint64_t retry_after_s; /* 0: the server did not say */
    uint64_t time;          /* of an answer 200: its Date; 0: it has none */
};
/* Post to the first server that gives an answer. Every outcome is in ret; nothing is left out silently. */
void errand_post(const struct errand_request *r, struct errand_answer *ret);
/* Status and sentence of an answer. */
void errand_say(struct errand_answer *ret, uint32_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The network edge: where a request meets one server, in a table of operations, so that the exchange above it
 * can be tried with a server in memory that loses and repeats answers, its database, or its honesty
 * (tests/unit/fake_server.h). */
struct server_post {
    const struct errand_request *request; /* whose CA, identity and path count */
    const char *server;                   /* https://host:port */
    const char *proxy, *no_proxy;
    const uint8_t *gzip; /* the request's JSON */
    size_t len;
    int64_t end_ms; /* by now_ms(): for all servers together */
};
struct server_ops {
    int64_t (*now_ms)(void); /* monotonic */
    /* ret: filled in every case; its body, on MSG_DONE only, is the caller's. True when the server has spoken
     * and no other needs to be asked */
    bool (*post)(const struct server_post *p, struct errand_answer *ret);
};
/* The table of this program: errand_http.c, over libcurl; a unit test links its own. */
extern const struct server_ops server_ops;

/* gzip (errand_gzip.c). ret: malloc'ed. err: NOMEM, INTERNAL */
MUST_CHECK enum err errand_gzip(const void *p, size_t len, uint8_t **ret, size_t *ret_len);

/* JSON of the two errands (errand_json.c). Requests: malloc'ed text. err: NOMEM, RANGE */
MUST_CHECK enum err errand_enroll_request(const struct msg *m, char **ret);
MUST_CHECK enum err errand_sync_request(const struct msg *m, char **ret);
/* Answers, read strictly. ret_certificate: malloc'ed. err: FORMAT, RANGE, NOT_FOUND, NOMEM */
MUST_CHECK enum err errand_enroll_answer(const char *body, size_t len, char **ret_certificate);
/* Fill ret->sync_answer; its bytes stand in *ret_arena, malloc'ed. */
MUST_CHECK enum err errand_sync_answer(const char *body, size_t len, struct msg *ret, uint8_t **ret_arena);
/* The sentence of a problem document (RFC 9457), or nothing. ret: cap characters */
void errand_problem(const char *body, size_t len, char *ret, size_t cap);
