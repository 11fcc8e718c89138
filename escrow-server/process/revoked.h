#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The devices that org.json revokes; a list is held for life. */

#include "crypto/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct revoked {
    uint8_t (*id)[32]; /* heap, sorted */
    size_t n;
};

/* Take the list of an org.json in the place of the one before, which holds where that fails.
 * err: FORMAT, RANGE, NOMEM */
MUST_CHECK enum err revoked_read(struct revoked *r, const uint8_t *json, size_t len);
bool revoked_has(const struct revoked *r, const uint8_t device[static 32]);
