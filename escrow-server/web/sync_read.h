#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON of a sync's request. source: docs/formats.md#sync */

#include "crypto/err.h"
#include "escrow-server/process/msg.h"
#include <json-c/json.h>
#include <stdbool.h>

/* A sync between its parts: the records decoded from base64, waiting for the device's public key. */
struct sync {
    struct msg_sync m; /* device: by the certificate */
    uint8_t device[8]; /* the beginning of the ID that the body names */
    uint8_t *bytes;    /* all records, one behind the other */
    uint8_t *set, *package_set;
    uint8_t word[MSG_WORD]; /* the vault's own, on the head that the device has */
    size_t word_len;
    unsigned head_is;       /* enum msg_heard_is, or 0 */
    bool brief;             /* the device takes an answer that leaves out what it knows: */
    uint8_t last[8];        /* the beginning of the name of its last record */
    bool has_spki, adopted; /* the device tells who it is; the store was told */
    uint8_t spki[91];
    uint64_t policy; /* version that it has; 0: none */
    size_t used;     /* of bytes */
    char detail[160];
};

/* ret: zeroed; to be freed whatever comes of it.
 * err: TRUNCATED (no strict JSON), FORMAT, RANGE, NOT_FOUND, NOMEM; ret->detail has a sentence */
MUST_CHECK enum err sync_read(const char *body, size_t len, struct sync *ret);
void sync_free(struct sync *s); /* one that was allocated; takes NULL */
