/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decrypting sectors. The limit is OpenSSL without sectors: the whole buffer as one message, one IV. */
#include "crypto/sectors.h"
#include "tests/bench/bench.h"
#include <openssl/evp.h>
#include <stdlib.h>

#define BUFFER (1u << 20) /* what a copy works on at a time */
#define TIMES  32

static uint8_t buf[BUFFER], key[64];

struct sectors {
    struct cr_sectors s;
    uint64_t n;
};

static void ours(void *ctx)
{
    struct sectors *c = ctx;
    for (unsigned i = 0; i < TIMES; i++, c->n += BUFFER / CR_SECTOR_MIN)
        if (cr_sectors_crypt(&c->s, CR_DECRYPT, c->n, buf, sizeof buf) != ERR_OK)
            abort();
}

static void limit(void *ctx)
{
    static const uint8_t iv[16];
    int n;
    for (unsigned i = 0; i < TIMES; i++)
        if (!EVP_CipherInit_ex2(ctx, NULL, NULL, iv, -1, NULL) ||
            !EVP_CipherUpdate(ctx, buf, &n, buf, sizeof buf))
            abort();
}

static void line(const char *name, enum cr_sectors_mode mode, const EVP_CIPHER *cipher, size_t key_len,
                 size_t sector_size)
{
    static const uint8_t iv[16];
    static struct sectors c;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || !EVP_CipherInit_ex2(ctx, cipher, key, iv, 0, NULL) || !EVP_CIPHER_CTX_set_padding(ctx, 0) ||
        cr_sectors_init(&c.s, mode, key, key_len, sector_size, CR_SECTOR_MIN) != ERR_OK)
        abort();
    bench_pair(name, &(struct bench_side){"ours", ours, &c},
               &(struct bench_side){"OpenSSL, one message", limit, ctx}, (double)TIMES * BUFFER, BENCH_SHOW);
    cr_sectors_wipe(&c.s);
    EVP_CIPHER_CTX_free(ctx);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(7 * i);
    bench_begin(argc, argv);
    line("XTS-AES-128, sectors of 512, decrypt", CR_XTS_PLAIN64, EVP_aes_128_xts(), 32, 512);
    line("XTS-AES-256, sectors of 512, decrypt", CR_XTS_PLAIN64, EVP_aes_256_xts(), 64, 512);
    line("XTS-AES-256, sectors of 4096, decrypt", CR_XTS_PLAIN64, EVP_aes_256_xts(), 64, 4096);
    line("CBC-AES-128 EBOIV, sectors of 512, decrypt", CR_CBC_EBOIV, EVP_aes_128_cbc(), 16, 512);
    line("CBC-AES-256 ESSIV, sectors of 512, decrypt", CR_CBC_ESSIV_SHA256, EVP_aes_256_cbc(), 32, 512);
    return bench_end();
}
