#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a web worker asks writer and reader for devices and people: enrolment, syncs, keys, boots, tokens. */

#include "escrow-server/process/msg_body.h"
#include "formats/command.h"
#include "formats/guid.h"

#define MSG_CSR          4096
#define MSG_RECORDS      256
#define MSG_SEQUENCE_MAX INT64_MAX /* the stores and JSON hold no more */
#define MSG_COMMANDS     16
#define MSG_SET          512 /* hashes of envelopes in one page. source: docs/formats.md#sync */
#define MSG_CANDIDATES   16
#define MSG_BOOTS_MAX    64
#define MSG_PROOFS       4 /* receipts of records that come again */

struct msg_enroll {
    uint8_t token[32]; /* SHA-256 of the text */
    uint8_t spki[91], sig[64];
    uint64_t time;
    char computer[MSG_NAME + 1];
    struct msg_blob csr; /* PEM */
};

struct msg_device {
    uint8_t device[32];
    uint8_t courier[32]; /* SHA-256 of the SPKI in the client certificate */
};

struct msg_device_is {
    bool revoked;
    bool pinned;      /* the certificate carries the key that was enrolled last */
    uint8_t approved; /* enum device_approval */
    uint8_t spki[91];
};

struct msg_sync {
    uint8_t device[32];
    uint8_t courier[32];  /* as in msg_device; the writer compares it itself */
    bool has_courier;     /* not in a file from a computer without a network */
    uint8_t envelopes[8]; /* the beginning of the device's digest */
    uint8_t audit_head[32];
    bool has_head;
    uint32_t attempt; /* the device's number of this batch, for the receipt; 0: none */
    unsigned n_proofs;
    struct msg_blob
        proof[MSG_PROOFS]; /* receipts that records of this batch had before; judged by the writer */
    struct msg_blob renew; /* SPKI of the courier's key, when its certificate is due; else empty */
    bool has_set;
    struct msg_blob set; /* hashes of envelopes that the device made, 32 bytes each */
    /* the same for key packages, by the names of their records; most devices have none */
    bool has_packages, has_package_set;
    uint8_t packages[8]; /* the digest's beginning */
    struct msg_blob package_set;
    unsigned n;
    struct msg_blob record[MSG_RECORDS]; /* verified by the writer; UNSUPPORTED: one is refused */
};

struct msg_synced {
    struct msg_blob receipt; /* empty when no record was stored */
    bool incomplete;         /* a store is away: what is in no receipt must come again */
    bool has_known, match;
    uint8_t incarnation[16], name[32];
    uint64_t sequence;
    unsigned n_commands;
    uint8_t command[MSG_COMMANDS][COMMAND_LEN];
    uint8_t digest[32];          /* over the envelopes of the device that are here */
    struct msg_blob missing;     /* of the set: what is not here */
    struct msg_blob certificate; /* PEM, renewed; or empty */
    bool packages_match;         /* also when the device said nothing of key packages */
    uint8_t packages[32];
    struct msg_blob missing_packages;
};

struct msg_find {
    char key[GUID_TEXT];       /* key ID or its beginning, upper case */
    char device[MSG_NAME + 1]; /* hex device ID or its beginning; may be empty */
};

/* One key that fits: the newest envelope of one password. */
struct msg_candidate {
    struct msg_blob envelope;
    char computer[MSG_NAME + 1], label[MSG_NAME + 1];
    bool own; /* it came with a record of the device that sealed it */
    uint64_t received;
};

struct msg_found {
    unsigned n;
    bool more;
    struct msg_candidate item[MSG_CANDIDATES];
};

struct msg_boot {
    uint64_t time, received;
    uint8_t device[32];
    struct guid key_id, volume;
    uint8_t result, reason;
};

struct msg_boots {
    unsigned n;
    struct msg_boot item[MSG_BOOTS_MAX];
};

struct msg_probed {
    uint8_t err[2]; /* enum err, by enum store_half */
    bool replicated[2];
};

struct msg_token {
    uint8_t hash[32];
    uint64_t expires, uses;
};

/* err of every get: TRUNCATED, FORMAT, RANGE */
void msg_put_enroll(struct writer *w, const struct msg_enroll *m);
MUST_CHECK enum err msg_get_enroll(const uint8_t *p, size_t len, struct msg_enroll *ret);
void msg_put_device(struct writer *w, const struct msg_device *m);
MUST_CHECK enum err msg_get_device(const uint8_t *p, size_t len, struct msg_device *ret);
void msg_put_device_is(struct writer *w, const struct msg_device_is *m);
MUST_CHECK enum err msg_get_device_is(const uint8_t *p, size_t len, struct msg_device_is *ret);
void msg_put_sync(struct writer *w, const struct msg_sync *m);
MUST_CHECK enum err msg_get_sync(const uint8_t *p, size_t len, struct msg_sync *ret);
void msg_put_synced(struct writer *w, const struct msg_synced *m);
MUST_CHECK enum err msg_get_synced(const uint8_t *p, size_t len, struct msg_synced *ret);
void msg_put_find(struct writer *w, const struct msg_find *m);
MUST_CHECK enum err msg_get_find(const uint8_t *p, size_t len, struct msg_find *ret);
void msg_put_found(struct writer *w, const struct msg_found *m);
MUST_CHECK enum err msg_get_found(const uint8_t *p, size_t len, struct msg_found *ret);
void msg_put_boots(struct writer *w, const struct msg_boots *m);
MUST_CHECK enum err msg_get_boots(const uint8_t *p, size_t len, struct msg_boots *ret);
void msg_put_probed(struct writer *w, const struct msg_probed *m);
MUST_CHECK enum err msg_get_probed(const uint8_t *p, size_t len, struct msg_probed *ret);
void msg_put_token(struct writer *w, const struct msg_token *m);
MUST_CHECK enum err msg_get_token(const uint8_t *p, size_t len, struct msg_token *ret);
