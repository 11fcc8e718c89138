/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XTS only: nothing in firmware needs GCM. */
#include "crypto/aes.h"
#include "crypto/secret.h"
#include <mbedtls/aes.h>

#define XTS_UNIT_MAX (16u << 20) /* IEEE 1619: at most 2^20 blocks in one data unit */

static enum err xts_check(enum cr_dir dir, const uint8_t *key, size_t key_len)
{
    if (key_len != 32 && key_len != 64)
        return ERR_UNSUPPORTED;
    /* Equal halves make XTS weak; OpenSSL refuses to encrypt with them, and so does every back end. */
    if (dir == CR_ENCRYPT && cr_equal(key, key + key_len / 2, key_len / 2))
        return ERR_RANGE;
    return ERR_OK;
}

static enum err xts_start(mbedtls_aes_xts_context *ctx, enum cr_dir dir, const uint8_t *key, size_t key_len)
{
    unsigned bits = (unsigned)key_len * 8;
    mbedtls_aes_xts_init(ctx);
    int code = dir == CR_ENCRYPT ? mbedtls_aes_xts_setkey_enc(ctx, key, bits)
                                 : mbedtls_aes_xts_setkey_dec(ctx, key, bits);
    return code == 0 ? ERR_OK : ERR_INTERNAL;
}

static enum err xts_unit(mbedtls_aes_xts_context *ctx, enum cr_dir dir, const uint8_t *tweak,
                         const uint8_t *in, uint8_t *ret, size_t len)
{
    int mode = dir == CR_ENCRYPT ? MBEDTLS_AES_ENCRYPT : MBEDTLS_AES_DECRYPT;
    return mbedtls_aes_crypt_xts(ctx, mode, len, tweak, in, ret) == 0 ? ERR_OK : ERR_INTERNAL;
}

enum err cr_xts_unit(enum cr_dir dir, const uint8_t *key, size_t key_len, const uint8_t tweak[static 16],
                     const uint8_t *in, uint8_t *ret, size_t len)
{
    mbedtls_aes_xts_context ctx;
    TRY(xts_check(dir, key, key_len));
    if (len < 16 || len > XTS_UNIT_MAX || (in == ret && len % 16 != 0))
        return ERR_RANGE;
    enum err e = xts_start(&ctx, dir, key, key_len);
    if (e == ERR_OK)
        e = xts_unit(&ctx, dir, tweak, in, ret, len);
    mbedtls_aes_xts_free(&ctx); /* wipes */
    return e;
}

enum err cr_xts_sectors(enum cr_dir dir, const uint8_t *key, size_t key_len, uint64_t sector,
                        size_t sector_size, uint8_t *buf, size_t len)
{
    mbedtls_aes_xts_context ctx;
    TRY(xts_check(dir, key, key_len));
    if (sector_size < 512 || sector_size > 4096 || (sector_size & (sector_size - 1)) != 0 ||
        len % sector_size != 0)
        return ERR_RANGE;
    enum err e = xts_start(&ctx, dir, key, key_len);
    for (size_t off = 0; e == ERR_OK && off < len; off += sector_size) {
        uint64_t number = sector + off / 512;
        uint8_t tweak[16] = {0};
        for (size_t i = 0; i < 8; i++)
            tweak[i] = (uint8_t)(number >> (8 * i));
        e = xts_unit(&ctx, dir, tweak, buf + off, buf + off, sector_size);
    }
    mbedtls_aes_xts_free(&ctx);
    return e;
}
