/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sums, seals and the stretch of the writer. */
#include "tests/bitlocker/bitlocker_writer_crypto.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static void need(bool ok)
{
    if (!ok)
        abort();
}

uint32_t bw_crc32(const uint8_t *p, size_t len)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (unsigned k = 0; k < 8; k++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

void bw_sha256(const void *p, size_t len, uint8_t ret[32])
{
    need(EVP_Digest(p, len, ret, NULL, EVP_sha256(), NULL) == 1);
}

void bw_ccm_seal(const uint8_t key[32], const uint8_t nonce[12], const uint8_t *plain, size_t len,
                 uint8_t *ret)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    need(ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_256_ccm(), NULL, NULL, NULL) == 1);
    need(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) == 1);
    need(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, NULL) == 1);
    need(EVP_EncryptInit_ex(ctx, NULL, NULL, key, nonce) == 1);
    need(EVP_EncryptUpdate(ctx, NULL, &n, NULL, (int)len) == 1);
    need(EVP_EncryptUpdate(ctx, ret + 16, &n, plain, (int)len) == 1);
    need(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, ret) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

void bw_first_recovery(const uint8_t password[16], uint8_t ret[32])
{
    bw_sha256(password, 16, ret);
}

void bw_first_passphrase(const char *ascii, uint8_t ret[32])
{
    uint8_t wide[512], once[32];
    size_t len = strlen(ascii);
    for (size_t i = 0; i < len; i++) {
        wide[2 * i] = (uint8_t)ascii[i];
        wide[2 * i + 1] = 0;
    }
    bw_sha256(wide, 2 * len, once);
    bw_sha256(once, 32, ret);
}

/* 88 bytes: last digest, first digest, salt, counter. */
static void stretch(uint8_t state[88], uint8_t ret[32])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    need(md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
    for (uint32_t i = 0; i < 0x100000; i++) {
        for (unsigned k = 0; k < 4; k++)
            state[80 + k] = (uint8_t)(i >> 8 * k);
        need(EVP_DigestInit_ex(md, NULL, NULL) == 1 && EVP_DigestUpdate(md, state, 88) == 1);
        need(EVP_DigestFinal_ex(md, state, NULL) == 1);
    }
    EVP_MD_CTX_free(md);
    memcpy(ret, state, 32);
}

void bw_stretch(const uint8_t first[32], const uint8_t salt[16], uint8_t ret[32])
{
    static struct {
        uint8_t first[32], salt[16], key[32];
        bool used;
    } known[8];
    static unsigned next;
    uint8_t state[88] = {0};
    for (unsigned i = 0; i < 8; i++)
        if (known[i].used && memcmp(known[i].first, first, 32) == 0 && memcmp(known[i].salt, salt, 16) == 0) {
            memcpy(ret, known[i].key, 32);
            return;
        }
    memcpy(state + 32, first, 32);
    memcpy(state + 64, salt, 16);
    stretch(state, ret);
    memcpy(known[next].first, first, 32);
    memcpy(known[next].salt, salt, 16);
    memcpy(known[next].key, ret, 32);
    known[next].used = true;
    next = (next + 1) % 8;
}
