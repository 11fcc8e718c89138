#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* NIST P-256, hosted only: key pairs, ECDH, ECDSA with SHA-256. Keys are software keys, or stay outside,
 * where somebody else does the Diffie-Hellman (crypto/pkcs11/p256_token.h). */

#include "crypto/err.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include <stddef.h>
#include <stdint.h>

#define CR_P256_POINT  65 /* uncompressed: 04 ‖ X ‖ Y */
#define CR_P256_SCALAR 32
#define CR_P256_SHARED 32 /* X coordinate */
#define CR_P256_SIG    64 /* raw r ‖ s, big-endian */
#define CR_P256_SPKI   91 /* DER SubjectPublicKeyInfo of an uncompressed point */
#define CR_KEY_ID      32 /* SHA-256 of the SPKI */

struct cr_p256_pub {
    uint8_t point[CR_P256_POINT];
};

/* Private key; opaque, owned by the caller, freed (and wiped) by cr_p256_free(). */
struct cr_p256_key;

MUST_CHECK enum err cr_p256_generate(struct cr_p256_key **ret);
/* From a 32-byte big-endian scalar (test vectors, HPKE). err: RANGE when 0 or >= n */
MUST_CHECK enum err cr_p256_from_scalar(const uint8_t scalar[static CR_P256_SCALAR],
                                        struct cr_p256_key **ret);
/* PEM PKCS#8 text, encrypted when passphrase is not NULL (AES-256, PBKDF2).
 * err: AUTH (wrong passphrase), FORMAT (no P-256 key in it) */
MUST_CHECK enum err cr_p256_from_pem(const char *pem, size_t len, const struct secret *passphrase,
                                     struct cr_p256_key **ret);
/* ret: at most cap bytes, *ret_len used. err: FULL */
MUST_CHECK enum err cr_p256_to_pem(const struct cr_p256_key *key, const struct secret *passphrase, char *ret,
                                   size_t cap, size_t *ret_len);
/* A private key that is elsewhere: ecdh does what cr_p256_ecdh() promises, close ends it. ctx: handed over on
 * ERR_OK. err: FORMAT (no point of the curve), NOMEM */
struct cr_p256_outside {
    enum err (*ecdh)(void *ctx, const struct cr_p256_pub *peer, uint8_t ret[static CR_P256_SHARED]);
    void (*close)(void *ctx);
    void *ctx;
};
MUST_CHECK enum err cr_p256_from_outside(const struct cr_p256_pub *pub, const struct cr_p256_outside *outside,
                                         struct cr_p256_key **ret);
void cr_p256_free(struct cr_p256_key *key); /* takes NULL */

MUST_CHECK enum err cr_p256_public(const struct cr_p256_key *key, struct cr_p256_pub *ret);
/* Checks that the point is on the curve. err: FORMAT */
MUST_CHECK enum err cr_p256_check(const struct cr_p256_pub *pub);
MUST_CHECK enum err cr_p256_to_spki(const struct cr_p256_pub *pub, uint8_t ret[static CR_P256_SPKI]);
/* err: FORMAT (not a P-256 SPKI with an uncompressed point that is on the curve) */
MUST_CHECK enum err cr_p256_from_spki(const uint8_t *der, size_t len, struct cr_p256_pub *ret);
/* PEM "PUBLIC KEY" text, both ways. */
MUST_CHECK enum err cr_p256_pub_from_pem(const char *pem, size_t len, struct cr_p256_pub *ret);
MUST_CHECK enum err cr_p256_pub_to_pem(const struct cr_p256_pub *pub, char *ret, size_t cap, size_t *ret_len);
/* SHA-256 of the DER SPKI: the ID of a device, an escrow key or a receipt key. source: DESIGN section 5 */
MUST_CHECK enum err cr_p256_id(const struct cr_p256_pub *pub, uint8_t ret[static CR_KEY_ID]);

/* err: FORMAT (invalid point); of a key that is outside, also what its owner says */
MUST_CHECK enum err cr_p256_ecdh(const struct cr_p256_key *key, const struct cr_p256_pub *peer,
                                 uint8_t ret[static CR_P256_SHARED]);

/* ECDSA-SHA256 over a whole message; a digest that somebody else computed is never signed. */
MUST_CHECK enum err cr_p256_sign(const struct cr_p256_key *key, const void *msg, size_t len,
                                 uint8_t ret_sig[static CR_P256_SIG]);
/* err: AUTH */
MUST_CHECK enum err cr_p256_verify(const struct cr_p256_pub *pub, const void *msg, size_t len,
                                   const uint8_t sig[static CR_P256_SIG]);

/* The OpenSSL key behind it, for TLS and certificates: borrowed, a struct evp_pkey_st *; NULL for a key that
 * is outside. */
struct evp_pkey_st *cr_p256_pkey(const struct cr_p256_key *key);
