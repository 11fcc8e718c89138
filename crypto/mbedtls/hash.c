/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/mbedtls/digest.h"
#include "crypto/secret.h"
#include <string.h>

size_t cr_hash_size(enum cr_hash alg)
{
    switch (alg) {
    case CR_SHA1:
        return 20;
    case CR_SHA256:
        return CR_SHA256_SIZE;
    case CR_SHA512:
        return 64;
    }
    return 0;
}

size_t digest_block(enum cr_hash alg)
{
    return alg == CR_SHA512 ? 128 : 64;
}

/* mbedTLS's functions here fail only where a hardware engine stands in for them. */
static enum err done(int code)
{
    return code == 0 ? ERR_OK : ERR_INTERNAL;
}

enum err digest_start(struct digest *d, enum cr_hash alg)
{
    d->alg = alg;
    switch (alg) {
    case CR_SHA1:
        mbedtls_sha1_init(&d->sha1);
        return done(mbedtls_sha1_starts_ret(&d->sha1));
    case CR_SHA256:
        mbedtls_sha256_init(&d->sha256);
        return done(mbedtls_sha256_starts_ret(&d->sha256, 0));
    case CR_SHA512:
        mbedtls_sha512_init(&d->sha512);
        return done(mbedtls_sha512_starts_ret(&d->sha512, 0));
    }
    return ERR_UNSUPPORTED;
}

enum err digest_update(struct digest *d, const void *p, size_t len)
{
    switch (d->alg) {
    case CR_SHA1:
        return done(mbedtls_sha1_update_ret(&d->sha1, p, len));
    case CR_SHA256:
        return done(mbedtls_sha256_update_ret(&d->sha256, p, len));
    case CR_SHA512:
        return done(mbedtls_sha512_update_ret(&d->sha512, p, len));
    }
    return ERR_UNSUPPORTED;
}

enum err digest_finish(struct digest *d, uint8_t *ret)
{
    switch (d->alg) {
    case CR_SHA1:
        return done(mbedtls_sha1_finish_ret(&d->sha1, ret));
    case CR_SHA256:
        return done(mbedtls_sha256_finish_ret(&d->sha256, ret));
    case CR_SHA512:
        return done(mbedtls_sha512_finish_ret(&d->sha512, ret));
    }
    return ERR_UNSUPPORTED;
}

/* Take in all parts and finish. */
static enum err digest_parts(struct digest *d, const struct cr_part *parts, size_t n, uint8_t *ret)
{
    for (size_t i = 0; i < n; i++)
        if (parts[i].len != 0)
            TRY(digest_update(d, parts[i].p, parts[i].len));
    return digest_finish(d, ret);
}

enum err cr_hash_parts(enum cr_hash alg, const struct cr_part *parts, size_t n, uint8_t *ret)
{
    struct digest d;
    TRY(digest_start(&d, alg));
    enum err e = digest_parts(&d, parts, n, ret);
    cr_wipe(&d, sizeof d);
    return e;
}

enum err cr_sha256(const void *p, size_t len, uint8_t ret[static CR_SHA256_SIZE])
{
    return cr_hash_parts(CR_SHA256, &(struct cr_part){p, len}, 1, ret);
}

/* Start a digest with the key's block, every byte XOR mask. */
static enum err start_padded(struct digest *d, enum cr_hash alg, const uint8_t *block, uint8_t mask)
{
    uint8_t pad[DIGEST_BLOCK_MAX];
    size_t len = digest_block(alg);
    for (size_t i = 0; i < len; i++)
        pad[i] = block[i] ^ mask;
    enum err e = digest_start(d, alg);
    if (e == ERR_OK)
        e = digest_update(d, pad, len);
    cr_wipe(pad, sizeof pad);
    return e;
}

enum err digest_hmac_start(struct digest *inner, struct digest *outer, enum cr_hash alg, const void *key,
                           size_t key_len)
{
    uint8_t block[DIGEST_BLOCK_MAX] = {0};
    enum err e = ERR_OK;
    if (cr_hash_size(alg) == 0)
        return ERR_UNSUPPORTED;
    if (key_len > digest_block(alg))
        e = cr_hash_parts(alg, &(struct cr_part){key, key_len}, 1, block);
    else if (key_len > 0)
        memcpy(block, key, key_len);
    if (e == ERR_OK)
        e = start_padded(inner, alg, block, 0x36);
    if (e == ERR_OK)
        e = start_padded(outer, alg, block, 0x5c);
    cr_wipe(block, sizeof block);
    return e;
}

enum err cr_hmac(enum cr_hash alg, const void *key, size_t key_len, const struct cr_part *parts, size_t n,
                 uint8_t *ret)
{
    struct digest inner, outer;
    uint8_t hash[CR_HASH_MAX];
    enum err e = digest_hmac_start(&inner, &outer, alg, key, key_len);
    if (e == ERR_OK)
        e = digest_parts(&inner, parts, n, hash);
    if (e == ERR_OK)
        e = digest_parts(&outer, &(struct cr_part){hash, cr_hash_size(alg)}, 1, ret);
    cr_wipe(&inner, sizeof inner);
    cr_wipe(&outer, sizeof outer);
    cr_wipe(hash, sizeof hash);
    return e;
}
