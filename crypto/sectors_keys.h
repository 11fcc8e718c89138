#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside of crypto/sectors.c: what a back end does, with the keys it made in s->keys. Sizes are checked by
 * the caller. */

#include "crypto/sectors.h"

/* What the IVs are encrypted under; len 0 where they are not. */
struct sectors_iv_key {
    size_t len;
    uint8_t bytes[32];
};

/* err: NOMEM. Equal XTS halves give keys that only decrypt. */
MUST_CHECK enum err sectors_keys_init(struct cr_sectors *s, const uint8_t *key, size_t key_len,
                                      const struct sectors_iv_key *iv_key);
/* Takes zeroed keys. Wiping the bytes themselves is the caller's. */
void sectors_keys_free(struct cr_sectors *s);

/* Encrypt IVs, in place. */
MUST_CHECK enum err sectors_ivs(struct cr_sectors *s, uint8_t *ivs, size_t len);
/* One data unit of at least 16 bytes. err: RANGE (encrypting with keys that only decrypt) */
MUST_CHECK enum err sectors_xts(struct cr_sectors *s, enum cr_dir dir, const uint8_t *tweak,
                                const uint8_t *in, uint8_t *ret, size_t len);
/* Whole blocks, in place. */
MUST_CHECK enum err sectors_cbc(struct cr_sectors *s, enum cr_dir dir, const uint8_t *iv, uint8_t *buf,
                                size_t len);
