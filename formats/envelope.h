#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Envelope: one recovery password, HPKE-sealed to one or more escrow keys. Layout: docs/formats.md.
 * Reading works in both worlds; sealing and opening need crypto/hpke.h and are hosted (envelope_seal.c). */

#include "crypto/err.h"
#include "formats/guid.h"
#include "formats/recovery_password.h"
#include <stddef.h>
#include <stdint.h>

#define ENVELOPE_RECIPIENTS 4
#define ENVELOPE_HEADER(n)  (112 + 32 * (size_t)(n))
#define ENVELOPE_SEAL       (65 + RP_BYTES + 16)
#define ENVELOPE_LEN(n)     (ENVELOPE_HEADER(n) + (size_t)(n)*ENVELOPE_SEAL)
#define ENVELOPE_MAX        ENVELOPE_LEN(ENVELOPE_RECIPIENTS)

enum envelope_kind { ENVELOPE_RECOVERY_PASSWORD = 1, ENVELOPE_KEY_PACKAGE = 2 };

struct envelope {
    uint8_t kind;
    struct guid key_id, volume;
    uint8_t device[32];
    uint64_t time; /* seconds, UTC */
    uint8_t commitment[32];
    unsigned n_recipients;
    uint8_t recipient[ENVELOPE_RECIPIENTS][32]; /* escrow key IDs */
    size_t header_len;                          /* the bytes that are the AAD */
    const uint8_t *seal[ENVELOPE_RECIPIENTS];   /* borrowed from the input: enc ‖ ciphertext */
};

/* Decode; borrows in. err: TRUNCATED, FORMAT, VERSION, RANGE (number of recipients) */
MUST_CHECK enum err envelope_decode(const uint8_t *in, size_t len, struct envelope *ret);

struct cr_p256_pub;
struct cr_p256_key;

/* Seal 16 bytes. The caller fills kind, key_id, volume, device and time of *e; commitment, recipients and
 * seals are made here.
 * to:  n public escrow keys, 1 to ENVELOPE_RECIPIENTS
 * org: the organisation's GUID, bound into the seal
 * ret: ENVELOPE_LEN(n) bytes
 * err: RANGE (n, or a kind that is not a recovery password) */
MUST_CHECK enum err envelope_seal(const struct envelope *e, const struct guid *org,
                                  const struct cr_p256_pub *to, unsigned n,
                                  const uint8_t password[static RP_BYTES], uint8_t ret[static ENVELOPE_MAX],
                                  size_t *ret_len);

/* Open with one private key and check the commitment.
 * ret_password: 16 bytes in a secret
 * err: NOT_FOUND (not sealed to this key), AUTH (changed bytes, other organisation, commitment does not
 *      fit), UNSUPPORTED (not a recovery password), and what envelope_decode() says */
MUST_CHECK enum err envelope_open(const uint8_t *in, size_t len, const struct guid *org,
                                  const struct cr_p256_key *key, struct secret *ret_password);

/* HKDF-SHA256 of the 16 bytes, salt key ID ‖ volume UUID. */
MUST_CHECK enum err envelope_commitment(const uint8_t password[static RP_BYTES], const struct guid *key_id,
                                        const struct guid *volume, uint8_t ret[static 32]);
