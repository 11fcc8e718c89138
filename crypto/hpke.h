#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HPKE, RFC 9180, base mode, DHKEM(P-256, HKDF-SHA256) + HKDF-SHA256 + AES-256-GCM, single message. */

#include "crypto/p256.h"

#define CR_HPKE_ENC CR_P256_POINT
#define CR_HPKE_TAG 16

/* Seal one message to a public key with a fresh ephemeral key.
 * ret_enc: 65 bytes; ret_ct: len + 16 bytes
 * source: RFC 9180 section 6.1 */
MUST_CHECK enum err cr_hpke_seal(const struct cr_p256_pub *to, const void *info, size_t info_len,
                                 const void *aad, size_t aad_len, const void *pt, size_t len,
                                 uint8_t ret_enc[static CR_HPKE_ENC], uint8_t *ret_ct);
/* The same with a given ephemeral key: for the RFC's vectors only. */
MUST_CHECK enum err cr_hpke_seal_with(const struct cr_p256_key *ephemeral, const struct cr_p256_pub *to,
                                      const void *info, size_t info_len, const void *aad, size_t aad_len,
                                      const void *pt, size_t len, uint8_t ret_enc[static CR_HPKE_ENC],
                                      uint8_t *ret_ct);
/* ct_len includes the tag; ret_pt: ct_len - 16 bytes.
 * err: AUTH (wrong key, info, aad, or changed bytes; no telling which), FORMAT (enc is no point) */
MUST_CHECK enum err cr_hpke_open(const struct cr_p256_key *key, const uint8_t enc[static CR_HPKE_ENC],
                                 const void *info, size_t info_len, const void *aad, size_t aad_len,
                                 const void *ct, size_t ct_len, uint8_t *ret_pt);

/* The pieces, so that every vector of the RFC can be checked: an HPKE context with its sequence number. */
struct cr_hpke_ctx {
    uint8_t key[32], base_nonce[12], exporter[32];
    uint64_t seq;
};
MUST_CHECK enum err cr_hpke_setup_sender(const struct cr_p256_key *ephemeral, const struct cr_p256_pub *to,
                                         const void *info, size_t info_len,
                                         uint8_t ret_enc[static CR_HPKE_ENC], struct cr_hpke_ctx *ret);
MUST_CHECK enum err cr_hpke_setup_receiver(const struct cr_p256_key *key,
                                           const uint8_t enc[static CR_HPKE_ENC], const void *info,
                                           size_t info_len, struct cr_hpke_ctx *ret);
MUST_CHECK enum err cr_hpke_ctx_seal(struct cr_hpke_ctx *ctx, const void *aad, size_t aad_len, const void *pt,
                                     size_t len, uint8_t *ret_ct);
MUST_CHECK enum err cr_hpke_ctx_open(struct cr_hpke_ctx *ctx, const void *aad, size_t aad_len, const void *ct,
                                     size_t ct_len, uint8_t *ret_pt);
/* DeriveKeyPair of RFC 9180 section 7.1.3 (vectors). */
MUST_CHECK enum err cr_hpke_derive_key(const void *ikm, size_t len, struct cr_p256_key **ret);
