/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of steps and labels are those of RFC 9180 sections 4, 5 and 7. */
#include "crypto/hpke.h"
#include "crypto/aes.h"
#include <string.h>

#define KEM_SUITE  "KEM\x00\x10"                  /* DHKEM(P-256, HKDF-SHA256) */
#define HPKE_SUITE "HPKE\x00\x10\x00\x01\x00\x02" /* with HKDF-SHA256 and AES-256-GCM */
#define VERSION                                                                                              \
    {                                                                                                        \
        "HPKE-v1", 7                                                                                         \
    }
#define MODE_BASE 0
#define N_HASH    CR_SHA256_SIZE

#define KEM  ((struct cr_part){KEM_SUITE, sizeof KEM_SUITE - 1})
#define HPKE ((struct cr_part){HPKE_SUITE, sizeof HPKE_SUITE - 1})

static struct cr_part text(const char *s)
{
    return (struct cr_part){s, strlen(s)};
}

/* LabeledExtract */
static enum err extract(struct cr_part suite, const void *salt, size_t salt_len, const char *label,
                        struct cr_part ikm, uint8_t ret[static N_HASH])
{
    struct cr_part all[] = {VERSION, suite, text(label), ikm};
    return cr_hkdf_extract(CR_SHA256, salt, salt_len, all, 4, ret);
}

/* LabeledExpand */
static enum err expand(struct cr_part suite, const uint8_t *prk, const char *label, struct cr_part info,
                       uint8_t *ret, size_t len)
{
    const uint8_t length[2] = {(uint8_t)(len >> 8), (uint8_t)len};
    struct cr_part all[] = {{length, 2}, VERSION, suite, text(label), info};
    return cr_hkdf_expand(CR_SHA256, prk, all, 5, ret, len);
}

/* ExtractAndExpand over a Diffie-Hellman result and kem_context = enc ‖ receiver's public key. */
static enum err shared_secret(const struct cr_p256_key *key, const struct cr_p256_pub *peer,
                              const uint8_t enc[static CR_HPKE_ENC], const struct cr_p256_pub *receiver,
                              uint8_t ret[static N_HASH])
{
    uint8_t dh[CR_P256_SHARED], prk[N_HASH], context[CR_HPKE_ENC + CR_P256_POINT];
    memcpy(context, enc, CR_HPKE_ENC);
    memcpy(context + CR_HPKE_ENC, receiver->point, CR_P256_POINT);
    enum err e = cr_p256_ecdh(key, peer, dh);
    if (e == ERR_OK)
        e = extract(KEM, NULL, 0, "eae_prk", (struct cr_part){dh, sizeof dh}, prk);
    if (e == ERR_OK)
        e = expand(KEM, prk, "shared_secret", (struct cr_part){context, sizeof context}, ret, N_HASH);
    cr_wipe(dh, sizeof dh);
    cr_wipe(prk, sizeof prk);
    return e;
}

/* KeySchedule for base mode: no psk, empty psk_id. */
static enum err key_schedule(const uint8_t shared[static N_HASH], const void *info, size_t info_len,
                             struct cr_hpke_ctx *ret)
{
    const struct cr_part none = {"", 0};
    uint8_t context[1 + 2 * N_HASH] = {MODE_BASE}, secret[N_HASH];
    const struct cr_part ksc = {context, sizeof context};
    struct cr_hpke_ctx made = {.seq = 0};
    enum err e = extract(HPKE, NULL, 0, "psk_id_hash", none, context + 1);
    if (e == ERR_OK)
        e = extract(HPKE, NULL, 0, "info_hash", (struct cr_part){info, info_len}, context + 1 + N_HASH);
    if (e == ERR_OK)
        e = extract(HPKE, shared, N_HASH, "secret", none, secret);
    if (e == ERR_OK)
        e = expand(HPKE, secret, "key", ksc, made.key, sizeof made.key);
    if (e == ERR_OK)
        e = expand(HPKE, secret, "base_nonce", ksc, made.base_nonce, sizeof made.base_nonce);
    if (e == ERR_OK)
        e = expand(HPKE, secret, "exp", ksc, made.exporter, sizeof made.exporter);
    if (e == ERR_OK)
        *ret = made;
    cr_wipe(&made, sizeof made);
    cr_wipe(secret, sizeof secret);
    return e;
}

enum err cr_hpke_setup_sender(const struct cr_p256_key *ephemeral, const struct cr_p256_pub *to,
                              const void *info, size_t info_len, uint8_t ret_enc[static CR_HPKE_ENC],
                              struct cr_hpke_ctx *ret)
{
    struct cr_p256_pub enc;
    uint8_t shared[N_HASH];
    TRY(cr_p256_public(ephemeral, &enc));
    enum err e = shared_secret(ephemeral, to, enc.point, to, shared);
    if (e == ERR_OK)
        e = key_schedule(shared, info, info_len, ret);
    if (e == ERR_OK)
        memcpy(ret_enc, enc.point, CR_HPKE_ENC);
    cr_wipe(shared, sizeof shared);
    return e;
}

enum err cr_hpke_setup_receiver(const struct cr_p256_key *key, const uint8_t enc[static CR_HPKE_ENC],
                                const void *info, size_t info_len, struct cr_hpke_ctx *ret)
{
    struct cr_p256_pub self, peer;
    uint8_t shared[N_HASH];
    TRY(cr_p256_public(key, &self));
    memcpy(peer.point, enc, CR_HPKE_ENC);
    enum err e = shared_secret(key, &peer, enc, &self, shared);
    if (e == ERR_OK)
        e = key_schedule(shared, info, info_len, ret);
    cr_wipe(shared, sizeof shared);
    return e;
}

/* ComputeNonce: base_nonce XOR the sequence number, big-endian. */
static void nonce_of(const struct cr_hpke_ctx *ctx, uint8_t ret[static CR_GCM_IV])
{
    memcpy(ret, ctx->base_nonce, CR_GCM_IV);
    for (size_t i = 0; i < 8; i++)
        ret[CR_GCM_IV - 1 - i] ^= (uint8_t)(ctx->seq >> (8 * i));
}

enum err cr_hpke_ctx_seal(struct cr_hpke_ctx *ctx, const void *aad, size_t aad_len, const void *pt,
                          size_t len, uint8_t *ret_ct)
{
    uint8_t nonce[CR_GCM_IV];
    if (ctx->seq == UINT64_MAX)
        return ERR_RANGE;
    nonce_of(ctx, nonce);
    TRY(cr_gcm_seal(ctx->key, sizeof ctx->key, nonce, aad, aad_len, pt, len, ret_ct, ret_ct + len));
    ctx->seq++;
    return ERR_OK;
}

enum err cr_hpke_ctx_open(struct cr_hpke_ctx *ctx, const void *aad, size_t aad_len, const void *ct,
                          size_t ct_len, uint8_t *ret_pt)
{
    uint8_t nonce[CR_GCM_IV];
    if (ct_len < CR_HPKE_TAG)
        return ERR_AUTH;
    if (ctx->seq == UINT64_MAX)
        return ERR_RANGE;
    nonce_of(ctx, nonce);
    const uint8_t *tag = (const uint8_t *)ct + ct_len - CR_HPKE_TAG;
    TRY(cr_gcm_open(ctx->key, sizeof ctx->key, nonce, aad, aad_len, ct, ct_len - CR_HPKE_TAG, tag, ret_pt));
    ctx->seq++;
    return ERR_OK;
}

enum err cr_hpke_seal_with(const struct cr_p256_key *ephemeral, const struct cr_p256_pub *to,
                           const void *info, size_t info_len, const void *aad, size_t aad_len, const void *pt,
                           size_t len, uint8_t ret_enc[static CR_HPKE_ENC], uint8_t *ret_ct)
{
    struct cr_hpke_ctx ctx = {.seq = 0};
    uint8_t enc[CR_HPKE_ENC];
    enum err e = cr_hpke_setup_sender(ephemeral, to, info, info_len, enc, &ctx);
    if (e == ERR_OK)
        e = cr_hpke_ctx_seal(&ctx, aad, aad_len, pt, len, ret_ct);
    if (e == ERR_OK)
        memcpy(ret_enc, enc, CR_HPKE_ENC);
    cr_wipe(&ctx, sizeof ctx);
    return e;
}

enum err cr_hpke_seal(const struct cr_p256_pub *to, const void *info, size_t info_len, const void *aad,
                      size_t aad_len, const void *pt, size_t len, uint8_t ret_enc[static CR_HPKE_ENC],
                      uint8_t *ret_ct)
{
    struct cr_p256_key *ephemeral;
    TRY(cr_p256_generate(&ephemeral));
    enum err e = cr_hpke_seal_with(ephemeral, to, info, info_len, aad, aad_len, pt, len, ret_enc, ret_ct);
    cr_p256_free(ephemeral);
    return e;
}

enum err cr_hpke_open(const struct cr_p256_key *key, const uint8_t enc[static CR_HPKE_ENC], const void *info,
                      size_t info_len, const void *aad, size_t aad_len, const void *ct, size_t ct_len,
                      uint8_t *ret_pt)
{
    struct cr_hpke_ctx ctx = {.seq = 0};
    enum err e = cr_hpke_setup_receiver(key, enc, info, info_len, &ctx);
    if (e == ERR_OK)
        e = cr_hpke_ctx_open(&ctx, aad, aad_len, ct, ct_len, ret_pt);
    cr_wipe(&ctx, sizeof ctx);
    return e;
}

enum err cr_hpke_derive_key(const void *ikm, size_t len, struct cr_p256_key **ret)
{
    uint8_t prk[N_HASH], scalar[CR_P256_SCALAR];
    enum err e = extract(KEM, NULL, 0, "dkp_prk", (struct cr_part){ikm, len}, prk);
    /* A candidate of zero or beyond the group's order is passed over; P-256's bitmask keeps all bits. */
    for (unsigned counter = 0; e == ERR_OK && counter < 256; counter++) {
        const uint8_t number = (uint8_t)counter;
        e = expand(KEM, prk, "candidate", (struct cr_part){&number, 1}, scalar, sizeof scalar);
        if (e == ERR_OK)
            e = cr_p256_from_scalar(scalar, ret);
        if (e != ERR_RANGE)
            break;
        e = counter < 255 ? ERR_OK : ERR_RANGE;
    }
    cr_wipe(prk, sizeof prk);
    cr_wipe(scalar, sizeof scalar);
    return e;
}
