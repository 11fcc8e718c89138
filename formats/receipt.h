#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Receipt: the server's signed word that records are durable. One signature for a whole sync answer. */

#include "crypto/err.h"
#include "formats/guid.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECEIPT_RECORDS 256
#define RECEIPT_HEADER  100
#define RECEIPT_MAX     (RECEIPT_HEADER + 32 * RECEIPT_RECORDS + 64)

enum receipt_class { RECEIPT_LOCAL = 1, RECEIPT_REPLICATED = 2, RECEIPT_PACKED = 3 };

struct receipt {
    uint8_t class;
    uint32_t attempt; /* the device's number of the batch that it answers; 0: it told none */
    struct guid org;
    uint8_t device[32];
    uint64_t time;
    uint8_t key[32]; /* receipt key ID */
    unsigned n;
    const uint8_t *names; /* n × 32 bytes, sorted ascending; borrowed */
};

struct cr_p256_key;
struct cr_p256_pub;

/* Encode and sign; names must be sorted and without doubles (RANGE otherwise). ret: RECEIPT_MAX bytes. */
MUST_CHECK enum err receipt_encode(const struct receipt *r, const struct cr_p256_key *key, uint8_t *ret,
                                   size_t *ret_len);
/* Decode and verify; borrows in. err: AUTH, TRUNCATED, FORMAT, VERSION */
MUST_CHECK enum err receipt_decode(const uint8_t *in, size_t len, const struct cr_p256_pub *pub,
                                   struct receipt *ret);
/* Does the receipt cover this record? cost: binary search */
bool receipt_covers(const struct receipt *r, const uint8_t name[static 32]);
