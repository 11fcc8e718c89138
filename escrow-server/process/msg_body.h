#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the bodies of messages (msg.h) are made of, and those that stand for an outcome or a number. Writers
 * remember their first failure (cursor.h); getters borrow the frame's body. */

#include "crypto/cursor.h"
#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSG_NAME   64
#define MSG_REASON 256
#define MSG_DETAIL 400
#define MSG_CHAIN  64
#define MSG_CODE   8

struct msg_blob {
    const uint8_t *p; /* borrowed */
    size_t len;
};

struct msg_failed {
    uint8_t err;                 /* enum err */
    char detail[MSG_DETAIL + 1]; /* a sentence */
};

/* err of every get: TRUNCATED, FORMAT, RANGE */
void msg_put_failed(struct writer *w, enum err e, const char *detail);
MUST_CHECK enum err msg_get_failed(const uint8_t *p, size_t len, struct msg_failed *ret);
void msg_put_u64(struct writer *w, uint64_t v);
MUST_CHECK enum err msg_get_u64(const uint8_t *p, size_t len, uint64_t *ret);
