#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The courier: the agent's process that speaks to servers. It carries records as bytes and hands back the
 * answers; it knows no secret but its own TLS key, and decides nothing: the keeper verifies. Hosted. */

#include "agent/msg.h"
#include "crypto/err.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COURIER_BODY_MAX   (1u << 20) /* inflated bytes of an answer. source: docs/formats.md#sync */
#define COURIER_PEM_MAX    8192
#define COURIER_TEXT_MAX   512
#define COURIER_CONNECT_MS 3000L  /* what a dead server may cost */
#define COURIER_REQUEST_MS 60000L /* what a slow one may */

/* Identity (courier_identity.c): the TLS key and certificate in the state folder. */
struct courier_identity {
    char key[PATH_MAX], certificate[PATH_MAX]; /* paths of the PEM files */
};
/* err: RANGE (path too long), IO */
MUST_CHECK enum err courier_identity_init(struct courier_identity *id, const char *root);
/* Load the key, or make one (EC P-256, 0600), and sign a request with it whose CN is the device ID in hex.
 * ret: COURIER_PEM_MAX characters. err: FULL, DENIED, IO, INTERNAL */
MUST_CHECK enum err courier_identity_csr(const struct courier_identity *id, const uint8_t device[static 32],
                                         char *ret);
/* Keep a certificate when it is one for our key. err: AUTH (for another key), FORMAT, FULL, DENIED, IO */
MUST_CHECK enum err courier_identity_keep(const struct courier_identity *id, const char *pem);

/* One errand to the servers (courier_http.c). */
struct courier_request {
    const struct msg_list *servers;    /* https://host:port, tried in order */
    struct msg_span ca;                /* PEM; the only CA that is trusted */
    const char *path;                  /* "/v1/sync" */
    const struct courier_identity *as; /* client certificate, NULL for none */
    const char *json;
};
struct courier_answer {
    uint32_t status;                /* enum msg_status */
    char problem[COURIER_TEXT_MAX]; /* a sentence, empty when status is MSG_DONE */
    char *body; /* of an answer 200: at most COURIER_BODY_MAX bytes and a zero byte; free() it */
    size_t body_len;
    uint64_t retry_after_s; /* 0: the server did not say */
};
/* Post to the first server that gives an answer. Every outcome is in ret; nothing is left out silently. */
void courier_post(const struct courier_request *r, struct courier_answer *ret);

/* gzip (courier_gzip.c). ret: malloc'ed. err: NOMEM, INTERNAL */
MUST_CHECK enum err courier_gzip(const void *p, size_t len, uint8_t **ret, size_t *ret_len);

/* JSON of the two errands (courier_json.c). Requests: malloc'ed text. err: NOMEM, RANGE */
MUST_CHECK enum err courier_enroll_request(const struct msg *m, char **ret);
MUST_CHECK enum err courier_sync_request(const struct msg *m, char **ret);
/* Answers, read strictly. ret_certificate: malloc'ed. err: FORMAT, RANGE, NOT_FOUND, NOMEM */
MUST_CHECK enum err courier_enroll_answer(const char *body, size_t len, char **ret_certificate);
/* Fill ret->sync_answer; its bytes stand in *ret_arena, malloc'ed. */
MUST_CHECK enum err courier_sync_answer(const char *body, size_t len, struct msg *ret, uint8_t **ret_arena);
/* The sentence of a problem document (RFC 9457), or nothing. ret: cap characters */
void courier_problem(const char *body, size_t len, char *ret, size_t cap);

/* Give up every system call that this process does not need (courier_sandbox.c), for good. err: NOMEM,
 * INTERNAL (the kernel refuses the filter) */
MUST_CHECK enum err courier_sandbox(void);

/* When to go (courier_schedule.c): no clock and no dice of its own. */
struct courier_schedule {
    int64_t due_ms;    /* monotonic; COURIER_NEVER: when the keeper calls */
    unsigned failures; /* in a row */
};
#define COURIER_NEVER INT64_MAX
/* It worked: come back when the server says (or in 90 minutes), a sixth more or less. */
void courier_schedule_done(struct courier_schedule *s, int64_t now_ms, uint64_t retry_after_s,
                           uint32_t random);
/* It did not: 15 s, 30 s, … up to an hour, half of it by chance; never before Retry-After. */
void courier_schedule_failed(struct courier_schedule *s, int64_t now_ms, uint64_t retry_after_s,
                             uint32_t random);
/* An address appeared: when the last errand failed, try again within a few seconds. */
void courier_schedule_network(struct courier_schedule *s, int64_t now_ms, uint32_t random);
