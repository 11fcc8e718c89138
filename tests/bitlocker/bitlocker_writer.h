#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small BitLocker volumes made in memory, for tests: a second opinion on the format. It uses OpenSSL alone,
 * nothing of crypto/ and formats/. Whatever fails ends the program.
 * source: docs/formats.md#bitlocker and the descriptions named there */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BW_RECOVERY 4 /* most recovery passwords */
#define BW_OTHERS   8 /* most protectors of other kinds */

enum bw_layout { BW_VISTA = 1, BW_SEVEN = 2, BW_TO_GO = 3 };

struct bw_options {
    enum bw_layout layout;
    uint16_t method; /* 0x8000 to 0x8005 */
    uint32_t sector_size, cluster_size;
    uint64_t size;       /* of the volume, at least 1 MiB */
    uint32_t header_len; /* bytes at the start that lie elsewhere */
    bool header_entry;   /* there is an entry for that; else only the block's header says it */
    bool header_field;   /* and the block's header says it */
    uint16_t state_now, state_next;
    uint64_t encrypted_size; /* as written; what is encrypted in fact */
    uint32_t log_len;
    bool on_write;               /* bit maps; every third chunk is clear */
    bool unknown;                /* entries and properties of unknown types, everywhere */
    bool seal;                   /* a sealed SHA-256 behind the CRC-32 */
    bool nested;                 /* the sealed volume master keys lie within the stretch */
    bool spare;                  /* Vista: the last sector is a copy of the first */
    const uint16_t *description; /* UTF-16, zero-terminated; NULL none */
    uint8_t recovery[BW_RECOVERY][16];
    unsigned n_recovery;
    const char *passphrase; /* ASCII; NULL none */
    bool startup_key, clear_key;
    uint16_t other[BW_OTHERS]; /* protections listed without a way to open them */
    unsigned n_others;
    const uint8_t
        *content; /* what the volume begins with, before the first block; NULL: NTFS's first sector */
    size_t content_len;
    unsigned lacks[3]; /* block i lacks so many of the recovery passwords and is as much older */
};

/* Windows 7 and later, AES-XTS 128, 512-byte sectors, 1 MiB, one recovery password, a description. */
void bw_defaults(struct bw_options *ret);
/* Where block i, the moved first sectors, and the maps of encrypt-on-write lie. */
uint64_t bw_block_off(unsigned i);
#define BW_HEADER_OFF 0x58000
#define BW_EOW_OFF                                                                                           \
    0x70000 /* descriptors at 0 and 0x1000, maps at 0x2000 and 0x4000, logs at 0x6000, 0x7000 */
#define BW_CHUNK 0x4000

/* The volume: o->size bytes of malloc. */
uint8_t *bw_make(const struct bw_options *o);
/* What Windows shows of it: o->size bytes of malloc. */
uint8_t *bw_shown(const struct bw_options *o);
/* CRC-32 and SHA-256 of block i made right again after a change. */
void bw_seal_block(const struct bw_options *o, uint8_t *volume, unsigned i);
void bw_crc(uint8_t *p, size_t len, size_t field);
/* The startup key file; its length. */
size_t bw_startup_key(uint8_t ret[static 256]);
/* Key IDs: of recovery password i, of the others in the order of bw_options. */
void bw_key_id(unsigned nth, uint8_t ret[static 16]);
