#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Outbox: what a device would say in one sync, as bytes that a person carries. A file has one or more of
 * them, one behind the other. The device signs the whole; the records inside are signed by themselves.
 * Version 2 has a number of the device's own, which receipts and answer repeat; version 1, without one, is
 * still read, and written where that number is 0.
 * Hosted. Layout: docs/formats.md#outbox */

#include "crypto/err.h"
#include "crypto/p256.h"
#include "formats/guid.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_RECORDS 256
#define OUTBOX_SET     512 /* hashes of envelopes */
#define OUTBOX_CSR_MAX 4096
#define OUTBOX_PROOFS  4
#define OUTBOX_FIXED   227 /* bytes before the enrolment or the counts; 4 less in version 1 */
#define OUTBOX_MAX                                                                                           \
    (OUTBOX_FIXED + 32 + 8 + 64 + 1 + RECORD_TEXT_MAX + 2 + OUTBOX_CSR_MAX + 2 + 32 * OUTBOX_SET + 2 +       \
     OUTBOX_RECORDS * (4 + RECORD_MAX) + 1 + OUTBOX_PROOFS * (4 + RECEIPT_MAX) + 64)
#define OUTBOX_HEAD 8 /* as much tells the length of all */

struct outbox_bytes {
    const uint8_t *p; /* borrowed */
    size_t len;
};

struct outbox {
    struct guid org;
    uint8_t device[32];
    uint8_t spki[CR_P256_SPKI]; /* of the device key */
    uint64_t time;
    uint8_t envelopes[32]; /* the digest of docs/formats.md#sync */
    bool has_head;
    uint8_t audit_head[32];
    uint32_t attempt; /* the device's number of this export, as of a batch in a sync; 0: version 1, none */
    /* of a device that no server has accepted yet: the request of docs/formats.md#enrolment, with the hash of
     * the token in place of the token */
    bool has_enrollment;
    uint8_t token[32], signature[64];
    uint64_t enrollment_time;
    char computer[RECORD_TEXT_MAX + 1];
    struct outbox_bytes csr; /* PEM */
    struct outbox_bytes set; /* hashes of envelopes that a server has receipted, sorted; 32 bytes each */
    unsigned n;
    struct outbox_bytes record[OUTBOX_RECORDS];
    unsigned n_proofs; /* receipts that records of this outbox had before; none in version 1 */
    struct outbox_bytes proof[OUTBOX_PROOFS];
};

/* Length of the outbox that begins here, from its first OUTBOX_HEAD bytes.
 * err: TRUNCATED, FORMAT (none begins here), VERSION, RANGE (longer than any) */
MUST_CHECK enum err outbox_length(const uint8_t *in, size_t len, size_t *ret);
/* Everything before the signature; that goes right behind it (64 bytes).
 * ret: OUTBOX_MAX bytes. err: FULL, RANGE */
MUST_CHECK enum err outbox_encode_unsigned(const struct outbox *o, uint8_t *ret, size_t *ret_len);
/* Decode exactly one and check that the key inside is the device's and signed it. Records are not looked
 * into. err: TRUNCATED, FORMAT, VERSION, RANGE, AUTH */
MUST_CHECK enum err outbox_decode(const uint8_t *in, size_t len, struct outbox *ret);
