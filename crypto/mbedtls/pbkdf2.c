/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PBKDF2 with SHA-1 and SHA-512, on mbedTLS's compression functions as crypto/pbkdf2.c does with SHA-256: two
 * compressions an iteration, against four and the bookkeeping of mbedTLS's own. */
#include "crypto/pbkdf2.h"
#include "crypto/mbedtls/digest.h"
#include "crypto/secret.h"
#include <string.h>

struct prf {
    struct digest inner, outer; /* behind their padded keys */
    struct digest work;
    uint8_t block[DIGEST_BLOCK_MAX]; /* a digest with the padding behind it */
};

/* work = state, then take in p->block. Firmware code is built without builtins; this copy is worth one. */
static int compress(struct prf *p, const struct digest *state)
{
    switch (state->alg) {
    case CR_SHA1:
        __builtin_memcpy(p->work.sha1.state, state->sha1.state, sizeof state->sha1.state);
        return mbedtls_internal_sha1_process(&p->work.sha1, p->block);
    case CR_SHA256: /* crypto/pbkdf2.c */
        break;
    case CR_SHA512:
        __builtin_memcpy(p->work.sha512.state, state->sha512.state, sizeof state->sha512.state);
        return mbedtls_internal_sha512_process(&p->work.sha512, p->block);
    }
    return 1;
}

static void store32(const uint32_t *state, size_t n, uint8_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t be = __builtin_bswap32(state[i]);
        __builtin_memcpy(ret + 4 * i, &be, 4);
    }
}

static void store64(const uint64_t *state, size_t n, uint8_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t be = __builtin_bswap64(state[i]);
        __builtin_memcpy(ret + 8 * i, &be, 8);
    }
}

/* The state of work, as the digest that stands at the start of the next block. */
static void store(struct prf *p)
{
    switch (p->work.alg) {
    case CR_SHA1:
        store32(p->work.sha1.state, 5, p->block);
        break;
    case CR_SHA256:
        break;
    case CR_SHA512:
        store64(p->work.sha512.state, 8, p->block);
        break;
    }
}

/* Padding of a message of one key block and one digest. source: FIPS 180-4 section 5.1 */
static void pad_block(struct prf *p, enum cr_hash alg)
{
    size_t block = digest_block(alg), size = cr_hash_size(alg);
    size_t bits = (block + size) * 8;
    memset(p->block + size, 0, block - size);
    p->block[size] = 0x80;
    p->block[block - 2] = (uint8_t)(bits >> 8);
    p->block[block - 1] = (uint8_t)bits;
}

/* U(1) = HMAC(password, salt ‖ number), into u. */
static enum err first(struct prf *p, const void *salt, size_t salt_len, uint32_t number, uint8_t *u)
{
    const uint8_t be[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                           (uint8_t)number};
    p->work = p->inner;
    if (salt_len > 0)
        TRY(digest_update(&p->work, salt, salt_len));
    TRY(digest_update(&p->work, be, sizeof be));
    TRY(digest_finish(&p->work, u));
    p->work = p->outer;
    TRY(digest_update(&p->work, u, cr_hash_size(p->outer.alg)));
    return digest_finish(&p->work, u);
}

/* One digest-sized block of output: U(1) ^ U(2) ^ ... */
static enum err derive_block(struct prf *p, const void *salt, size_t salt_len, uint32_t number,
                             uint32_t iterations, uint8_t *ret)
{
    enum cr_hash alg = p->inner.alg;
    size_t size = cr_hash_size(alg);
    TRY(first(p, salt, salt_len, number, ret));
    memcpy(p->block, ret, size);
    pad_block(p, alg);
    p->work.alg = alg;
    for (uint32_t i = 1; i < iterations; i++) {
        if (compress(p, &p->inner) != 0)
            return ERR_INTERNAL;
        store(p);
        if (compress(p, &p->outer) != 0)
            return ERR_INTERNAL;
        store(p);
        for (size_t k = 0; k < size; k++)
            ret[k] ^= p->block[k];
    }
    return ERR_OK;
}

enum err pbkdf2_library(enum cr_hash alg, const struct cr_part *password, const struct cr_part *salt,
                        uint32_t iterations, uint8_t *ret, size_t len)
{
    struct prf p;
    uint8_t out[CR_HASH_MAX];
    size_t size = cr_hash_size(alg);
    enum err e = digest_hmac_start(&p.inner, &p.outer, alg, password->p, password->len);
    for (size_t done = 0; e == ERR_OK && done < len; done += size) {
        e = derive_block(&p, salt->p, salt->len, (uint32_t)(done / size + 1), iterations, out);
        if (e == ERR_OK)
            memcpy(ret + done, out, len - done < size ? len - done : size);
    }
    cr_wipe(&p, sizeof p);
    cr_wipe(out, sizeof out);
    return e;
}
