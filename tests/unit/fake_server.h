#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A server in memory behind server_ops: it keeps a device's records, signs receipts and orders, compares the
 * set of envelopes, and loses answers, its database, or its honesty, where it is told to. source:
 * docs/formats.md#sync */

#include "agent/courier/errand.h"
#include "crypto/p256.h"
#include "formats/guid.h"
#include "formats/receipt.h"

#define FAKE_SERVER_RECORDS 2048

struct fake_record {
    uint8_t name[32], envelope[32]; /* of an escrow record: hash of its envelope */
    uint8_t incarnation[16];
    uint64_t sequence;
    uint8_t *bytes;
    size_t len;
    bool is_escrow;
    unsigned brought; /* so many times */
};

/* What becomes of the next requests. */
enum fake_fate {
    FATE_ANSWER = 0,
    FATE_REQUEST_LOST = 1, /* it never arrives */
    FATE_ANSWER_LOST = 2,  /* it is stored, and nobody hears of it */
    FATE_TWICE = 3,        /* it arrives twice; the second answer comes through */
    FATE_BUSY = 4,         /* 503 with a Retry-After */
    FATE_NO = 5            /* 403 */
};

struct fake_server {
    struct cr_p256_pub device; /* whose records it takes */
    struct fake_record record[FAKE_SERVER_RECORDS];
    unsigned n;
    unsigned posts, stored, doubles; /* requests that arrived; records that were new; that were there */
    unsigned bad;  /* records that do not verify, or another one at a place in the chain that is taken */
    unsigned sets; /* pages of hashes that came */
    enum fake_fate fate;
    const char *dead, *false_name; /* the server of this URL is silent, or has somebody else's certificate */
    char text[1 << 20];            /* the answer that came through last, or would have */
    const char *instead;           /* said instead of an answer of its own */
    /* what this answer says beside the truth; filled by the test, once */
    uint8_t more[4][RECEIPT_MAX];
    size_t more_len[4];
    bool is_command[4];
    const uint8_t *missing; /* hashes that it claims to lack, whatever came */
    size_t n_missing;
    uint64_t known;                 /* added to the sequence that it knows */
    bool no_receipts, asks_nothing; /* it has too much to do for sets */
};
extern struct fake_server fake_server;

/* Empty, with this device. */
void fake_server_reset(const struct cr_p256_pub *device);
/* Its database is gone; nothing else. */
void fake_server_lose(void);
/* Key by which it signs; another seed is somebody else's. To be freed. */
struct cr_p256_key *fake_server_key(uint8_t seed);
#define FAKE_SERVER_SEED 3
/* Does it have this envelope? */
bool fake_server_has(const uint8_t *envelope, size_t len);
