/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "crypto/secret.h"

/* Longest info in use is HPKE's: version, suite, label and two parts of the caller, behind a length. */
#define INFO_PARTS 8

enum err cr_hkdf_extract(enum cr_hash alg, const void *salt, size_t salt_len, const struct cr_part *ikm,
                         size_t n, uint8_t *ret_prk)
{
    /* RFC 5869's default salt of zeros is the same HMAC key as an empty one: HMAC pads with zeros. */
    return cr_hmac(alg, salt, salt_len, ikm, n, ret_prk);
}

/* T(i) = HMAC(prk, T(i-1) ‖ info ‖ i); t holds T(i-1) on entry, T(i) on ERR_OK. */
static enum err next_block(enum cr_hash alg, const uint8_t *prk, const struct cr_part *info, size_t n,
                           uint8_t i, uint8_t *t)
{
    size_t size = cr_hash_size(alg);
    struct cr_part part[INFO_PARTS + 2] = {{t, i == 1 ? 0 : size}};
    for (size_t k = 0; k < n; k++)
        part[k + 1] = info[k];
    part[n + 1] = (struct cr_part){&i, 1};
    return cr_hmac(alg, prk, size, part, n + 2, t);
}

enum err cr_hkdf_expand(enum cr_hash alg, const uint8_t *prk, const struct cr_part *info, size_t n,
                        uint8_t *ret_okm, size_t okm_len)
{
    size_t size = cr_hash_size(alg);
    if (size == 0)
        return ERR_UNSUPPORTED;
    if (n > INFO_PARTS || okm_len > 255 * size)
        return ERR_RANGE;
    uint8_t t[CR_HASH_MAX];
    enum err e = ERR_OK;
    for (size_t done = 0; e == ERR_OK && done < okm_len; done += size) {
        e = next_block(alg, prk, info, n, (uint8_t)(done / size + 1), t);
        for (size_t k = 0; e == ERR_OK && k < size && done + k < okm_len; k++)
            ret_okm[done + k] = t[k];
    }
    cr_wipe(t, sizeof t);
    return e;
}
