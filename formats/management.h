#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The token of a management keyslot: the agent's own way into a volume, so that it can rotate unattended. Not
 * a recovery password: its key is random, and lies sealed to the TPM or in a file of root's inside the
 * encrypted root. A type of its own, so that whoever looks for recovery passwords does not meet it. source:
 * docs/formats.md#management-token */

#include "crypto/err.h"
#include "formats/base.h"
#include "formats/guid.h"
#include "formats/names.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MANAGEMENT_JSON_MAX 512 /* bytes of the token's text, zero byte counted; a longer one is not ours */

enum management_state { MANAGEMENT_PENDING = 1, MANAGEMENT_LIVE = 2 };

struct management {
    uint8_t state;  /* enum management_state */
    int slot;       /* keyslot that it names, or will */
    bool assigned;  /* "keyslots" is not empty */
    uint32_t count; /* PBKDF2 count its keyslot has or will have */
    struct guid id; /* of the key: names the file that holds it */
    uint8_t device[32];
    uint8_t fingerprint[32];
    bool has_fingerprint;
};

/* Read a token's JSON text. err: FORMAT (none of ours, or malformed), VERSION, RANGE (too long) */
MUST_CHECK enum err management_decode(const char *json, size_t len, struct management *ret);
/* ret: zero-terminated. err: RANGE (fields that no token of ours has) */
MUST_CHECK enum err management_encode(const struct management *m, char ret[static MANAGEMENT_JSON_MAX]);
