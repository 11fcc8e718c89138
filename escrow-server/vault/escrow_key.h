#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One epoch of the escrow key, as it lies in the vault's folder of keys: NAME.key (PEM), or NAME.p11 (the URI
 * of a PKCS#11 token's), and NAME.canary, an envelope that only this key opens. NAME begins as the key's ID
 * does. Old epochs stay, for old envelopes. */

#include "crypto/p256.h"
#include "formats/guid.h"
#include <sys/types.h>

#define ESCROW_STEM 60 /* longest NAME */
#define ESCROW_KEYS 16 /* epochs that a vault holds */

struct escrow_key {
    char stem[ESCROW_STEM + 1];
    uint8_t id[32];          /* zeros when not even the canary says it */
    struct cr_p256_key *key; /* owned; NULL when it was not loaded */
    enum err state;          /* OK: the canary was opened; otherwise what failed */
};

/* Load NAME and open its canary; the outcome is ret->state, and ret->key is there only when it is OK.
 * dir: the folder; passphrase: of the PEM file, may be empty */
void escrow_key_open(const char *dir, const char *stem, const struct guid *org,
                     const struct secret *passphrase, struct escrow_key *ret);
void escrow_key_close(struct escrow_key *k);

/* Every NAME in the folder that has a key or a canary, sorted. ret: ESCROW_KEYS of room
 * err: IO (the folder), RANGE (more than that) */
MUST_CHECK enum err escrow_key_list(const char *dir, char (*ret)[ESCROW_STEM + 1], unsigned *ret_n);

/* The same for a key in a token: nothing but its URI is written. */
MUST_CHECK enum err escrow_key_put_token(const char *dir, const char *uri, const struct cr_p256_key *key,
                                         const struct guid *org, uint64_t now, uid_t uid);

/* Write key and canary, 0600, for uid where it is not the caller's own (root only).
 * passphrase: encrypts the PEM where it is not empty; now: seconds, UTC
 * err: CONFLICT (there is such a key already), IO, FULL, DENIED */
MUST_CHECK enum err escrow_key_put(const char *dir, const struct cr_p256_key *key, const struct guid *org,
                                   const struct secret *passphrase, uint64_t now, uid_t uid);
