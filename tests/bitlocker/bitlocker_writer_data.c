/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Content of the volumes, and how it is encrypted: OpenSSL's ciphers, and the diffuser in the direction of
 * encryption. source: Ferguson, "AES-CBC + Elephant diffuser", 2006 */
#include "tests/bitlocker/bitlocker_writer_crypto.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static void need(bool ok)
{
    if (!ok)
        abort();
}

size_t bw_volume_key(uint16_t method, uint8_t ret[64])
{
    static const uint8_t len[] = {64, 64, 16, 32, 32, 64};
    for (unsigned i = 0; i < 64; i++)
        ret[i] = (uint8_t)(0xc3 ^ 7 * i);
    return len[method - 0x8000];
}

bool bw_chunk_is_clear(uint64_t chunk)
{
    return chunk % 3 == 1;
}

/* Header and two records of 512 bytes, in whole sectors. */
uint32_t bw_map_len(const struct bw_options *o)
{
    return (0x600 + o->sector_size - 1) / o->sector_size * o->sector_size;
}

static void cipher(const EVP_CIPHER *c, const uint8_t *key, const uint8_t *iv, uint8_t *p, size_t len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n;
    need(ctx != NULL && EVP_EncryptInit_ex(ctx, c, NULL, key, iv) == 1);
    need(EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 && EVP_EncryptUpdate(ctx, p, &n, p, (int)len) == 1);
    EVP_CIPHER_CTX_free(ctx);
}

static void number(uint64_t v, uint8_t ret[16])
{
    memset(ret, 0, 16);
    for (unsigned i = 0; i < 8; i++)
        ret[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t turn(uint32_t x, unsigned n)
{
    return n == 0 ? x : x << n | x >> (32 - n);
}

/* Word i gives back what it took from those at distance near and far. */
static void diffuse(uint32_t *d, int n, int cycles, int near, int far, const unsigned turns[4])
{
    for (int i = n * cycles - 1; i >= 0; i--) {
        int at = i % n;
        d[at] -= d[(at + near + n) % n] ^ turn(d[(at + far + n) % n], turns[at % 4]);
    }
}

static void elephant(uint8_t *p, size_t len, const uint8_t key[32])
{
    static const unsigned turns_a[4] = {9, 0, 13, 0}, turns_b[4] = {0, 10, 0, 25};
    uint32_t d[1024] = {0};
    for (size_t i = 0; i < len; i++)
        d[i / 4] |= (uint32_t)(p[i] ^ key[i % 32]) << 8 * (i % 4);
    diffuse(d, (int)len / 4, 5, -2, -5, turns_a);
    diffuse(d, (int)len / 4, 3, 2, 5, turns_b);
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(d[i / 4] >> 8 * (i % 4));
}

static void encrypt_sector(const struct bw_options *o, uint64_t off, uint8_t *p)
{
    uint8_t key[64], iv[16], sector_key[32];
    bool big = o->method % 2 == 1;
    const EVP_CIPHER *ecb = big ? EVP_aes_256_ecb() : EVP_aes_128_ecb();
    bw_volume_key(o->method, key);
    if (o->method >= 0x8004) {
        number(off / o->sector_size, iv);
        cipher(big ? EVP_aes_256_xts() : EVP_aes_128_xts(), key, iv, p, o->sector_size);
        return;
    }
    if (o->method <= 0x8001) {
        number(off, sector_key);
        number(off, sector_key + 16);
        sector_key[31] = 0x80;
        cipher(ecb, key + 32, NULL, sector_key, 32);
        elephant(p, o->sector_size, sector_key);
    }
    number(off, iv);
    cipher(ecb, key, NULL, iv, 16);
    cipher(big ? EVP_aes_256_cbc() : EVP_aes_128_cbc(), key, iv, p, o->sector_size);
}

void bw_boot_sector(const struct bw_options *o, const char *name, uint8_t ret[512])
{
    memset(ret, 0x90, 512);
    memcpy(ret, "\xeb\x58\x90", 3);
    if (o->layout == BW_VISTA)
        ret[1] = 0x52;
    memcpy(ret + 3, name, 8);
    ret[11] = (uint8_t)o->sector_size;
    ret[12] = (uint8_t)(o->sector_size >> 8);
    ret[13] = (uint8_t)(o->cluster_size / o->sector_size);
    number(o->size / o->sector_size - 1, ret + 40);
    number(4, ret + 48);
    number(BW_MIRROR, ret + 56);
    ret[510] = 0x55;
    ret[511] = 0xaa;
}

/* Some sectors are zeros, the others all different. */
static void fill(const struct bw_options *o, uint8_t *p)
{
    for (uint64_t i = 0; i < o->size; i++)
        p[i] = i / 0x3000 % 4 == 3 ? 0 : (uint8_t)(i * 131 ^ i >> 9 ^ i >> 17);
    bw_boot_sector(o, "NTFS    ", p);
    need(o->content_len <= bw_block_off(0));
    if (o->content)
        memcpy(p, o->content, o->content_len);
    if (o->spare)
        memcpy(p + o->size - o->sector_size, p, o->sector_size);
}

static void clear(const struct bw_options *o, uint8_t *p, uint64_t off, uint64_t len)
{
    uint64_t end = off + len < o->size ? off + len : o->size;
    memset(p + off, 0, end - off);
}

uint8_t *bw_shown(const struct bw_options *o)
{
    uint8_t *p = malloc(o->size);
    bool vista = o->layout == BW_VISTA;
    uint64_t whole = 0x4000 + o->cluster_size - 1;
    need(p != NULL);
    fill(o, p);
    for (unsigned i = 0; i < 3; i++)
        clear(o, p, bw_block_off(i), vista ? whole - whole % o->cluster_size : 0x10000);
    if (!vista)
        clear(o, p, BW_HEADER_OFF, o->header_len);
    if (o->state_now == 2)
        clear(o, p, o->encrypted_size, o->log_len);
    if (o->on_write) {
        clear(o, p, BW_EOW_OFF, o->sector_size);
        clear(o, p, BW_EOW_OFF + 0x1000, o->sector_size);
        clear(o, p, BW_EOW_OFF + 0x2000, bw_map_len(o));
        clear(o, p, BW_EOW_OFF + 0x4000, bw_map_len(o));
        clear(o, p, BW_EOW_OFF + 0x6000, 0x2000);
    }
    return p;
}

/* Is the sector that lies at off on the disk encrypted? */
static bool is_encrypted(const struct bw_options *o, uint64_t off)
{
    if (o->layout == BW_VISTA)
        return off >= 0x2000 && !(o->spare && off == o->size - o->sector_size);
    if (o->on_write)
        return off < 0x2000 || !bw_chunk_is_clear(off < BW_REGION_1 ? (off - 0x2000) / BW_CHUNK
                                                                    : (off - BW_REGION_1) / BW_CHUNK);
    return off < o->encrypted_size;
}

uint8_t *bw_encrypted(const struct bw_options *o)
{
    uint8_t *p = malloc(o->size);
    need(p != NULL);
    fill(o, p);
    if (o->layout != BW_VISTA) {
        memcpy(p + BW_HEADER_OFF, p, o->header_len);
        memset(p, 0xee, o->header_len);
    }
    for (uint64_t off = 0; off < o->size; off += o->sector_size)
        if (is_encrypted(o, off))
            encrypt_sector(o, off, p + off);
    return p;
}
