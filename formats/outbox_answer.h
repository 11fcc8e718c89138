#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The answer to an outbox: what a server says to one sync, as bytes that a person carries back. Nothing signs
 * the whole: receipts, commands and the certificate are signed by themselves, the rest counts as little as
 * what a courier says. Version 2 repeats the outbox's number; one that had none is answered in version 1.
 * Layout: docs/formats.md#outbox */

#include "crypto/err.h"
#include "formats/guid.h"
#include "formats/outbox.h"
#include "formats/receipt.h"

#define OUTBOX_ANSWER_RECEIPTS 4
#define OUTBOX_ANSWER_COMMANDS 16
#define OUTBOX_ANSWER_COMMAND  176 /* bytes of one */
#define OUTBOX_ANSWER_PEM_MAX  4096
#define OUTBOX_ANSWER_FIXED    200 /* 4 less in version 1 */
#define OUTBOX_ANSWER_MAX                                                                                    \
    (OUTBOX_ANSWER_FIXED + 2 + OUTBOX_ANSWER_PEM_MAX + 1 + OUTBOX_ANSWER_RECEIPTS * (4 + RECEIPT_MAX) + 1 +  \
     OUTBOX_ANSWER_COMMANDS * OUTBOX_ANSWER_COMMAND + 2 + 32 * OUTBOX_SET)

struct outbox_answer {
    struct guid org;
    uint8_t device[32];
    uint64_t time;    /* of the server */
    uint32_t attempt; /* of the outbox that it answers; 0: version 1, none */
    bool match;       /* the digests over all envelopes are the same */
    bool has_known, has_head;
    uint64_t audit_length;
    uint8_t audit_hash[32];
    uint8_t incarnation[16], name[32]; /* of the last record that the server knows */
    uint64_t sequence;
    uint8_t envelopes[32];           /* the server's digest */
    struct outbox_bytes certificate; /* PEM; may be empty */
    unsigned n_receipts, n_commands;
    struct outbox_bytes receipt[OUTBOX_ANSWER_RECEIPTS], command[OUTBOX_ANSWER_COMMANDS];
    struct outbox_bytes missing; /* hashes of the set that the server lacks */
};

/* Length of the answer that begins here. err: as outbox_length() */
MUST_CHECK enum err outbox_answer_length(const uint8_t *in, size_t len, size_t *ret);
/* ret: OUTBOX_ANSWER_MAX bytes. err: FULL, RANGE */
MUST_CHECK enum err outbox_answer_encode(const struct outbox_answer *a, uint8_t *ret, size_t *ret_len);
/* Exactly one; borrows in. err: TRUNCATED, FORMAT, VERSION, RANGE */
MUST_CHECK enum err outbox_answer_decode(const uint8_t *in, size_t len, struct outbox_answer *ret);
