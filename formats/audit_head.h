#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Audit head: a vault's signed word on where its log stood. It is a checkpoint within the log, goes out in
 * sync answers and comes back from the fleet: what it says was in the log, and can be missed. Hosted. */

#include "crypto/err.h"
#include "formats/guid.h"
#include <stddef.h>
#include <stdint.h>

#define AUDIT_HEAD_LEN 180

struct audit_head_word {
    struct guid org;
    uint8_t chain[16];
    uint64_t n;       /* entries */
    uint8_t hash[32]; /* of entry n */
    uint64_t time;    /* seconds, UTC */
    uint8_t key[32];  /* ID of the audit key */
};

struct cr_p256_key;
struct cr_p256_pub;

/* The key's ID is filled in, whatever w says. */
MUST_CHECK enum err audit_head_encode(const struct audit_head_word *w, const struct cr_p256_key *key,
                                      uint8_t ret[static AUDIT_HEAD_LEN]);
/* err: AUTH, TRUNCATED, FORMAT, VERSION */
MUST_CHECK enum err audit_head_decode(const uint8_t *in, size_t len, const struct cr_p256_pub *pub,
                                      struct audit_head_word *ret);
/* What it says; who signed it is not judged. err: TRUNCATED, FORMAT, VERSION */
MUST_CHECK enum err audit_head_read(const uint8_t *in, size_t len, struct audit_head_word *ret);
/* Of which chain it speaks; who signed it is not judged. err: TRUNCATED, FORMAT, VERSION */
MUST_CHECK enum err audit_head_chain(const uint8_t *in, size_t len, uint8_t ret[static 16]);
