#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keyholt-load: many devices at once, for benches and tests; it is in no package. Each device has a key, a
 * courier certificate that the organisation's CA issued at enrolment, and a chain of signed records. */

#include "crypto/err.h"
#include "crypto/p256.h"
#include "formats/org.h"
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define LOAD_DEVICES     4096
#define LOAD_CONNECTIONS 16384
#define LOAD_ANSWER_MAX  65536
#define LOAD_TOKEN_MAX   256

struct load_org {
    struct org org;
    struct cr_p256_pub to[ORG_ESCROW_KEYS], receipt;
    X509 *ca;
    char token[LOAD_TOKEN_MAX];
};

/* One HTTP request, ready to go. */
struct load_request {
    uint8_t *bytes; /* owned */
    size_t len;
    uint8_t name[32]; /* of the record in it */
    bool has_record;
};

struct load_device {
    struct cr_p256_key *key;
    EVP_PKEY *courier;
    SSL_CTX *tls; /* with its certificate */
    SSL_SESSION *session;
    uint8_t id[32], incarnation[16], previous[32];
    uint64_t sequence;
    uint8_t (*envelope)[32]; /* sorted hashes of all it made */
    size_t n_envelopes;
    struct load_request *made; /* escrow syncs, in the order of the chain */
    size_t n_made, n_sent;     /* sent: and receipted */
    bool busy;
};

enum load_kind { LOAD_HEARTBEAT = 1, LOAD_ESCROW, LOAD_STATIC, LOAD_IDLE };
enum load_handshake { LOAD_FULL = 1, LOAD_RESUMED, LOAD_KEPT };

/* One line of standard input. */
struct load_plan {
    enum load_kind kind;
    enum load_handshake handshake;
    struct sockaddr_storage to;
    socklen_t to_len;
    unsigned connections, requests;
    double seconds; /* at most */
};

/* load_org.c. dir: what `keyholt-server init` put into its bundle folder. err: NOT_FOUND, FORMAT, ... */
MUST_CHECK enum err load_org_read(const char *dir, struct load_org *ret);
void load_org_wipe(struct load_org *o);
/* Numeric "host:port". err: FORMAT */
MUST_CHECK enum err load_address(const char *text, struct load_plan *ret);

/* load_device.c. A device with new keys, not enrolled yet. */
MUST_CHECK enum err load_device_new(const struct load_org *o, struct load_device *ret);
/* What it says to be enrolled. */
MUST_CHECK enum err load_device_enroll(const struct load_org *o, const struct load_device *d,
                                       struct load_request *ret);
/* Take the certificate out of the answer. err: FORMAT */
MUST_CHECK enum err load_device_enrolled(struct load_device *d, const char *body, size_t len);
void load_device_wipe(struct load_device *d);

/* load_record.c. A sync without records. */
MUST_CHECK enum err load_heartbeat(const struct load_device *d, struct load_request *ret);
/* A sync with the next escrow record of the chain, sealed and signed. cost: about 0.5 ms */
MUST_CHECK enum err load_escrow(const struct load_org *o, struct load_device *d, struct load_request *ret);
/* Does the answer carry a valid receipt for this record? ret_class: enum receipt_class. err: AUTH, FORMAT,
 * NOT_FOUND */
MUST_CHECK enum err load_receipted(const struct load_org *o, const struct load_device *d,
                                   const uint8_t name[static 32], const char *body, size_t len,
                                   uint8_t *ret_class);

/* load_http.c */
MUST_CHECK enum err load_post(const char *path, const char *json, bool gzip, struct load_request *ret);
MUST_CHECK enum err load_get(const char *path, struct load_request *ret);
/* Is there a whole answer? ret_status, ret_body (borrowed). err: NOT_FOUND (not yet), FORMAT */
MUST_CHECK enum err load_answer(const char *p, size_t len, int *ret_status, const char **ret_body,
                                size_t *ret_body_len);
/* The body, inflated where its head says so; ret is malloc'ed, with a zero byte behind. */
MUST_CHECK enum err load_answer_body(const char *head, const char *body, size_t len, char **ret,
                                     size_t *ret_len);

/* load_run.c: carry a plan out, print its line. names: where to write the name of each receipted record, and
 * its receipt's class, as soon as that was verified */
struct load_fleet {
    struct load_org org;
    struct load_device *device;
    unsigned n;
    int names; /* descriptor, or -1 */
};
MUST_CHECK enum err load_enroll_all(struct load_fleet *f, const struct load_plan *to);
MUST_CHECK enum err load_run(struct load_fleet *f, const struct load_plan *plan);
