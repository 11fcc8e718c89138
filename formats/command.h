#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Command: an order of the server to one device, signed by a receipt key. Layout: docs/formats.md. Hosted. */

#include "crypto/err.h"
#include "formats/guid.h"
#include <stddef.h>
#include <stdint.h>

#define COMMAND_LEN 176

enum command_order { COMMAND_ROTATE = 1, COMMAND_REPORT = 2 };

struct command {
    uint8_t order; /* enum command_order */
    struct guid org;
    uint8_t device[32];
    struct guid key_id; /* rotate: the key to be replaced; report: names this order */
    uint64_t time;
    uint8_t key[32]; /* receipt key ID */
};

struct cr_p256_key;
struct cr_p256_pub;

MUST_CHECK enum err command_encode(const struct command *c, const struct cr_p256_key *key,
                                   uint8_t ret[static COMMAND_LEN]);
/* Decode and verify. err: AUTH, TRUNCATED, FORMAT, VERSION, UNSUPPORTED (unknown order) */
MUST_CHECK enum err command_decode(const uint8_t *in, size_t len, const struct cr_p256_pub *pub,
                                   struct command *ret);
