/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metadata: entries, blocks, boot sectors. */
#include "tests/bitlocker/bitlocker_writer.h"
#include "tests/bitlocker/bitlocker_writer_crypto.h"
#include <stdlib.h>
#include <string.h>

#define FILETIME_2021 UINT64_C(132539328000000000)
#define BLOCK_MAX     65536
#define KEY_VMK       0x2003
#define KEY_HASH      0x2005

static const uint8_t guid_usual[16] = {0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e, 0xd8, 0x4a,
                                       0x83, 0x99, 0xf6, 0xa3, 0x39, 0xe3, 0xd0, 0x01};
static const uint8_t guid_on_write[16] = {0x3b, 0x4d, 0xa8, 0x92, 0x80, 0xdd, 0x0e, 0x4d,
                                          0x9e, 0x4e, 0xb1, 0xe3, 0x28, 0x4e, 0xae, 0xd8};
static const uint8_t vmk[32] = "volume master key of the writer";
static const uint8_t external_key[32] = "key in the startup key file ....";
static const uint8_t clear_key[32] = "clear key, open on the disk ....";

/* Bytes in the making. */
struct out {
    uint8_t *p;
    size_t len;
    uint32_t nonce;
};

static void put(struct out *o, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        o->p[o->len++] = (uint8_t)(v >> 8 * i);
}

static void put_bytes(struct out *o, const void *p, size_t n)
{
    memcpy(o->p + o->len, p, n);
    o->len += n;
}

static void poke(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t peek(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* An entry's length is known when it ends. */
static size_t begin(struct out *o, unsigned type, unsigned value)
{
    size_t at = o->len;
    put(o, 0, 2);
    put(o, type, 2);
    put(o, value, 2);
    put(o, 1, 2);
    return at;
}

static void end(struct out *o, size_t at)
{
    poke(o->p + at, o->len - at, 2);
}

static void put_key(struct out *o, unsigned kind, const uint8_t *key, size_t len)
{
    size_t at = begin(o, 0, 1);
    put(o, kind, 4);
    put_bytes(o, key, len);
    end(o, at);
}

/* A key sealed by another. */
static void put_sealed(struct out *o, unsigned type, const uint8_t by[32], unsigned kind, const uint8_t *key,
                       size_t len)
{
    uint8_t plain[128], nonce[12];
    struct out inner = {.p = plain};
    put_key(&inner, kind, key, len);
    poke(nonce, FILETIME_2021, 8);
    poke(nonce + 8, ++o->nonce, 4);
    size_t at = begin(o, type, 5);
    put_bytes(o, nonce, sizeof nonce);
    bw_ccm_seal(by, nonce, plain, inner.len, o->p + o->len);
    o->len += 16 + inner.len;
    end(o, at);
}

static void put_unknown(struct out *o, const struct bw_options *opt, unsigned type, unsigned value)
{
    if (!opt->unknown)
        return;
    size_t at = begin(o, type, value);
    put_bytes(o, "of a type that nobody knows", value % 7);
    end(o, at);
}

static void put_text(struct out *o, unsigned type, const uint16_t *text)
{
    size_t at = begin(o, type, 2);
    for (; *text != 0; text++)
        put(o, *text, 2);
    put(o, 0, 2);
    end(o, at);
}

void bw_key_id(unsigned nth, uint8_t ret[static 16])
{
    memset(ret, 0xa0, 16);
    poke(ret, 0x10203040u + nth, 4);
}

static size_t begin_vmk(struct out *o, unsigned nth, unsigned protection)
{
    uint8_t id[16];
    size_t at = begin(o, 2, 8);
    bw_key_id(nth, id);
    put_bytes(o, id, sizeof id);
    put(o, FILETIME_2021 + nth * UINT64_C(10000000), 8);
    put(o, 0, 2);
    put(o, protection, 2);
    return at;
}

/* With a secret that a person types: stretch, then the volume master key sealed by what comes out of it. */
static void put_typed(struct out *o, const struct bw_options *opt, unsigned nth, unsigned protection,
                      const uint8_t first[32])
{
    uint8_t salt[16], key[32];
    memset(salt, (int)(0x51 + protection / 256), sizeof salt);
    bw_stretch(first, salt, key);
    size_t at = begin_vmk(o, nth, protection);
    put_unknown(o, opt, 0, 0x77);
    size_t stretch = begin(o, 0, 3);
    put(o, protection == 0x2000 ? 0x1001 : 0x1000, 4);
    put_bytes(o, salt, sizeof salt);
    put_sealed(o, opt->nested ? 0 : 0x13, vmk, KEY_VMK, key,
               32); /* the way back; opens by the master key only */
    if (opt->nested)
        put_sealed(o, 0, key, KEY_VMK, vmk, 32);
    end(o, stretch);
    put_unknown(o, opt, 0x15, 0x30);
    if (!opt->nested)
        put_sealed(o, 0, key, KEY_VMK, vmk, 32);
    end(o, at);
}

static void put_startup_key(struct out *o, unsigned nth)
{
    static const uint16_t name[] = {'E', 'x', 't', 'e', 'r', 'n', 'a', 'l', 'K', 'e', 'y', 0};
    size_t at = begin_vmk(o, nth, 0x0200);
    put_text(o, 0, name);
    size_t use = begin(o, 0, 4);
    put(o, 0x2002, 4);
    put_sealed(o, 0, vmk, 0x2002, external_key, 32);
    end(o, use);
    put_sealed(o, 0, external_key, KEY_VMK, vmk, 32);
    end(o, at);
}

static void put_clear_key(struct out *o, unsigned nth)
{
    size_t at = begin_vmk(o, nth, 0);
    put_key(o, 0x2000, clear_key, 32);
    put_sealed(o, 0, clear_key, KEY_VMK, vmk, 32);
    end(o, at);
}

static void put_protectors(struct out *o, const struct bw_options *opt, unsigned lacks)
{
    uint8_t first[32];
    unsigned nth = BW_RECOVERY;
    for (unsigned i = 0; i + lacks < opt->n_recovery; i++) {
        bw_first_recovery(opt->recovery[i], first);
        put_typed(o, opt, i, 0x0800, first);
    }
    if (opt->passphrase != NULL) {
        bw_first_passphrase(opt->passphrase, first);
        put_typed(o, opt, nth++, 0x2000, first);
    }
    if (opt->startup_key)
        put_startup_key(o, nth++);
    if (opt->clear_key)
        put_clear_key(o, nth++);
    for (unsigned i = 0; i < opt->n_others; i++)
        end(o, begin_vmk(o, nth++, opt->other[i]));
}

static void put_entries(struct out *o, const struct bw_options *opt, unsigned lacks)
{
    uint8_t key[64];
    put_unknown(o, opt, 0x55, 0x66);
    if (opt->description != NULL)
        put_text(o, 7, opt->description);
    put_protectors(o, opt, lacks);
    put_unknown(o, opt, 0x0b, 0x09); /* where automatic unlocking keeps the keys of other volumes */
    put_sealed(o, 3, vmk, opt->method, key, bw_volume_key(opt->method, key));
    if (opt->header_entry) {
        size_t at = begin(o, 15, 15);
        put(o, BW_HEADER_OFF, 8);
        put(o, opt->header_len, 8);
        end(o, at);
    }
}

uint64_t bw_block_off(unsigned i)
{
    return UINT64_C(0x40000) + i * UINT64_C(0x40000);
}

static void put_block_header(struct out *o, const struct bw_options *opt)
{
    bool vista = opt->layout == BW_VISTA;
    put_bytes(o, "-FVE-FS-", 8);
    put(o, 0, 2);
    put(o, vista ? 1 : 2, 2);
    put(o, opt->state_now, 2);
    put(o, opt->state_next, 2);
    put(o, vista ? 0 : opt->encrypted_size, 8);
    put(o, opt->log_len, 4);
    put(o, vista || !opt->header_field ? 0 : opt->header_len / opt->sector_size, 4);
    for (unsigned i = 0; i < 3; i++)
        put(o, bw_block_off(i), 8);
    put(o, vista ? BW_MIRROR : opt->header_field ? BW_HEADER_OFF : 0, 8);
}

static void put_dataset_header(struct out *o, const struct bw_options *opt, unsigned lacks)
{
    uint8_t id[16];
    memset(id, 0x1d, sizeof id);
    put(o, 0, 4);
    put(o, 1, 4);
    put(o, 48, 4);
    put(o, 0, 4);
    put_bytes(o, id, sizeof id);
    put(o, 20 - lacks, 4);
    put(o, opt->method, 2);
    put(o, 0, 2);
    put(o, FILETIME_2021, 8);
}

static void write_block(const struct bw_options *opt, uint8_t *volume, unsigned i)
{
    struct out o = {.p = volume + bw_block_off(i)};
    memset(o.p, 0, opt->layout == BW_VISTA ? 0x4000 : BLOCK_MAX);
    put_block_header(&o, opt);
    put_dataset_header(&o, opt, opt->lacks[i]);
    put_entries(&o, opt, opt->lacks[i]);
    poke(o.p + 64, o.len - 64, 4);
    poke(o.p + 76, o.len - 64, 4);
    size_t len = (o.len + 15) / 16 * 16;
    poke(o.p + 8, opt->layout == BW_VISTA ? len : len / 16, 2);
    bw_seal_block(opt, volume, i);
}

void bw_seal_block(const struct bw_options *opt, uint8_t *volume, unsigned i)
{
    struct out o = {.p = volume + bw_block_off(i), .nonce = 0x81000000};
    uint8_t hash[32];
    size_t len = peek(o.p + 8, 2) * (peek(o.p + 10, 2) == 1 ? 1 : 16);
    if (len > BLOCK_MAX - 256)
        len = BLOCK_MAX - 256;
    o.len = len;
    put(&o, opt->layout == BW_VISTA ? 8 : BLOCK_MAX - len, 2);
    put(&o, opt->layout == BW_VISTA ? 1 : 2, 2);
    put(&o, bw_crc32(o.p, len), 4);
    bw_sha256(o.p, len, hash);
    if (opt->seal)
        put_sealed(&o, 0, vmk, KEY_HASH, hash, sizeof hash);
}

void bw_crc(uint8_t *p, size_t len, size_t field)
{
    memset(p + field, 0, 4);
    poke(p + field, bw_crc32(p, len), 4);
}

static void write_descriptor(const struct bw_options *opt, uint8_t *volume, uint64_t off)
{
    struct out o = {.p = volume + off};
    memset(o.p, 0, opt->sector_size);
    put_bytes(&o, "FVE-EOW", 8);
    put(&o, 56, 2);
    put(&o, 56 + 2 * 8, 2);
    put(&o, opt->sector_size, 4);
    put(&o, opt->sector_size, 4);
    put(&o, BW_CHUNK, 4);
    put(&o, 0x1000, 4); /* of a log */
    put(&o, 0, 4);
    put(&o, 2, 4);
    put(&o, 0, 4);
    put(&o, BW_EOW_OFF, 8);
    put(&o, BW_EOW_OFF + 0x1000, 8);
    put(&o, BW_EOW_OFF + 0x2000, 8);
    put(&o, BW_EOW_OFF + 0x4000, 8);
    bw_crc(o.p, o.len, 36);
}

static void write_record(uint8_t *p, uint64_t number, uint64_t n_bits, bool right)
{
    struct out o = {.p = p};
    put_bytes(&o, "FVE-EOWBR", 10);
    put(&o, 36, 2);
    put(&o, 0x200, 4);
    put(&o, n_bits, 4);
    put(&o, number, 8);
    for (uint64_t bit = 0; bit < n_bits && right; bit++)
        if (!bw_chunk_is_clear(bit))
            p[36 + bit / 8] |= (uint8_t)(1u << bit % 8);
    bw_crc(p, 0x200, 32);
}

/* A region of the volume; the record that counts is the second in the first map, the first in the other. */
static void write_map(const struct bw_options *opt, uint8_t *volume, unsigned nth, uint64_t off,
                      uint64_t region_end)
{
    uint8_t *p = volume + BW_EOW_OFF + 0x2000 + nth * 0x2000;
    struct out o = {.p = p};
    uint64_t n_bits = (region_end - off + BW_CHUNK - 1) / BW_CHUNK;
    memset(p, 0, bw_map_len(opt));
    put_bytes(&o, "FVE-EOWBM", 10);
    put(&o, 60, 2);
    put(&o, bw_map_len(opt), 4);
    put(&o, nth, 4);
    put(&o, off, 8);
    put(&o, region_end - off, 8);
    put(&o, BW_EOW_OFF + 0x6000 + nth * 0x1000, 8);
    put(&o, 0x200, 4);
    put(&o, 0x400, 4);
    put(&o, 0x200, 4);
    bw_crc(p, 0x200, 56);
    write_record(p + 0x200, 7, n_bits, nth == 1);
    write_record(p + 0x400, nth == 0 ? 8 : 6, n_bits, nth == 0);
}

static void write_boot(const struct bw_options *opt, uint8_t *p)
{
    struct out o = {.p = p};
    bw_boot_sector(opt, opt->layout == BW_TO_GO ? "MSWIN4.1" : "-FVE-FS-", p);
    if (opt->layout == BW_VISTA) {
        poke(p + 56, bw_block_off(0) / opt->cluster_size, 8);
        return;
    }
    memset(p + 36, 0, 64);
    o.len = opt->layout == BW_TO_GO ? 424 : 160;
    put_bytes(&o, opt->on_write ? guid_on_write : guid_usual, 16);
    for (unsigned i = 0; i < 3; i++)
        put(&o, bw_block_off(i), 8);
    put(&o, opt->on_write ? BW_EOW_OFF : 0, 8);
    put(&o, opt->on_write ? BW_EOW_OFF + 0x1000 : 0, 8);
}

uint8_t *bw_make(const struct bw_options *opt)
{
    uint8_t *volume = bw_encrypted(opt);
    write_boot(opt, volume);
    for (unsigned i = 0; i < 3; i++)
        write_block(opt, volume, i);
    if (opt->on_write) {
        write_descriptor(opt, volume, BW_EOW_OFF);
        write_descriptor(opt, volume, BW_EOW_OFF + 0x1000);
        write_map(opt, volume, 0, 0x2000, BW_REGION_1);
        write_map(opt, volume, 1, BW_REGION_1, opt->size);
    }
    if (opt->spare)
        memcpy(volume + opt->size - opt->sector_size, volume, opt->sector_size);
    return volume;
}

size_t bw_startup_key(uint8_t ret[static 256])
{
    struct out o = {.p = ret};
    uint8_t id[16];
    bw_key_id(BW_RECOVERY, id);
    put(&o, 0, 4);
    put(&o, 1, 4);
    put(&o, 48, 4);
    put(&o, 0, 4);
    put_bytes(&o, id, sizeof id);
    put(&o, 1, 8);
    put(&o, FILETIME_2021, 8);
    size_t at = begin(&o, 6, 9);
    put_bytes(&o, id, sizeof id);
    put(&o, FILETIME_2021, 8);
    put_key(&o, 0x2002, external_key, 32);
    end(&o, at);
    poke(ret, o.len, 4);
    poke(ret + 12, o.len, 4);
    return o.len;
}

void bw_defaults(struct bw_options *ret)
{
    static const uint16_t text[] = {'W', 'R', 'I', 'T', 'E', 'R', ' ', 0xe4, ' ', 0xd83d, 0xdd11, 0};
    *ret = (struct bw_options){.layout = BW_SEVEN,
                               .method = 0x8004,
                               .sector_size = 512,
                               .cluster_size = 4096,
                               .size = 1 << 20,
                               .header_len = 0x2000,
                               .header_entry = true,
                               .header_field = true,
                               .state_now = 4,
                               .state_next = 4,
                               .encrypted_size = 1 << 20,
                               .seal = true,
                               .description = text,
                               .n_recovery = 1};
    for (unsigned i = 0; i < BW_RECOVERY; i++)
        for (unsigned k = 0; k < 16; k++)
            ret->recovery[i][k] = (uint8_t)(17 * k + 31 * i + 5);
}
