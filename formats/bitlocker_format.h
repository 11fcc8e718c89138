#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BitLocker's bytes, for the reader's own files only (public: formats/bitlocker.h).
 * source: docs/formats.md#bitlocker */

#include "crypto/cursor.h"
#include "formats/bitlocker.h"

#define BITLOCKER_BOOT_LEN    512
#define BITLOCKER_HEADER_LEN  112 /* of a block: 64 bytes of block header, 48 of dataset header */
#define BITLOCKER_DATASET_OFF 64
#define BITLOCKER_DATASET_LEN 48
#define BITLOCKER_ENTRY_LEN   8 /* header of an entry */
#define BITLOCKER_SALT        16
#define BITLOCKER_SEALED_LEN  28  /* nonce and tag before the ciphertext of a sealed key */
#define BITLOCKER_KEY_MAX     116 /* bytes of a sealed key with its entry header; the longest known has 76 */
#define BITLOCKER_VISTA_CLEAR 0x2000 /* bytes at the start that Vista leaves in clear */

/* Entry types ("roles") and value types that are understood; all others are skipped by their length. */
enum bitlocker_type {
    BITLOCKER_TYPE_PROPERTY = 0,
    BITLOCKER_TYPE_VMK = 2,
    BITLOCKER_TYPE_FVEK = 3,
    BITLOCKER_TYPE_DESCRIPTION = 7,
    BITLOCKER_TYPE_HEADER = 15
};
enum bitlocker_value {
    BITLOCKER_VALUE_KEY = 1,
    BITLOCKER_VALUE_TEXT = 2,
    BITLOCKER_VALUE_STRETCH = 3,
    BITLOCKER_VALUE_USE_KEY = 4,
    BITLOCKER_VALUE_SEALED = 5,
    BITLOCKER_VALUE_VMK = 8,
    BITLOCKER_VALUE_EXTERNAL_KEY = 9,
    BITLOCKER_VALUE_HEADER = 15
};

/* One entry: where its data lie, within the bytes of the reader that yielded it. */
struct bitlocker_entry {
    uint16_t type, value;
    const uint8_t *data;
    size_t len;
    size_t off; /* of the entry, within the reader's bytes */
};

/* The next entry of a list. ret_more false: the list is over (no room for another, or a zero length).
 * err: FORMAT (shorter than its own header, or longer than the list); r stays where it was */
MUST_CHECK enum err bitlocker_entry_next(struct reader *r, struct bitlocker_entry *ret, bool *ret_more);

/* Walk a list to its end and let visit see each entry; stops at its first error. */
typedef enum err bitlocker_visit(void *ctx, const struct bitlocker_entry *e);
MUST_CHECK enum err bitlocker_entries(const uint8_t *p, size_t len, bitlocker_visit *visit, void *ctx);

/* The first 512 bytes of a volume. */
struct bitlocker_boot {
    uint32_t sector_size, cluster_size;
    bool sector_unknown; /* 512 is a guess */
    uint8_t layout;      /* enum bitlocker_layout */
    bool encrypt_on_write;
    uint64_t block_off[BITLOCKER_BLOCKS]; /* Vista: only the first */
    uint64_t eow_off[2];
};
/* err: NOT_FOUND (not BitLocker), UNSUPPORTED (sector size) */
MUST_CHECK enum err bitlocker_boot_decode(const uint8_t p[static BITLOCKER_BOOT_LEN],
                                          struct bitlocker_boot *ret);

/* Header of a metadata block. */
struct bitlocker_info {
    uint16_t version, state_now, state_next, method;
    uint32_t len;                /* bytes under CRC-32 and SHA-256 */
    uint32_t data_off, data_len; /* the entries, within the block */
    uint64_t encrypted_size;
    uint32_t log_len, header_sectors;
    uint64_t block_off[BITLOCKER_BLOCKS];
    uint64_t header_off; /* Vista: cluster of the MFT mirror */
    uint32_t nonce_counter;
    struct guid volume_id;
    uint64_t created; /* seconds since 1970 */
};
/* ret_problem: offset within the block
 * err: FORMAT, VERSION */
MUST_CHECK enum err bitlocker_info_decode(const uint8_t p[static BITLOCKER_HEADER_LEN],
                                          struct bitlocker_info *ret, struct bitlocker_problem *ret_problem);

struct bitlocker_range {
    uint64_t off, end;
};
struct bitlocker_map {
    uint64_t off, end; /* of the region of the volume it speaks of */
    uint64_t bits_off; /* where its bits lie on the volume */
    uint32_t n_bits;
};
/* A descriptor of encrypt-on-write has 16-bit lengths: at most this many maps. */
#define BITLOCKER_MAPS   ((65535 - 56) / 8)
#define BITLOCKER_RANGES (2 * BITLOCKER_MAPS + 8)

/* The caller's memory. */
struct bitlocker_room {
    uint8_t block[BITLOCKER_BLOCKS][BITLOCKER_BLOCK_MAX];
    uint8_t scratch[BITLOCKER_BLOCK_MAX];
    struct bitlocker_info info[BITLOCKER_BLOCKS];
    uint32_t seal_off[BITLOCKER_BLOCKS], seal_len[BITLOCKER_BLOCKS]; /* sealed SHA-256 behind it; 0: none */
    struct bitlocker_protector protector[BITLOCKER_PROTECTORS];
    struct bitlocker_map map[BITLOCKER_MAPS];
    struct bitlocker_range zeros[BITLOCKER_RANGES];
};

/* Read the block at b->block[i].off into its slot, check it by itself.
 * err: FORMAT, VERSION, IO, with b->block[i].problem set */
MUST_CHECK enum err bitlocker_block_read(struct bitlocker *b, unsigned i);
/* Is a the later of two? */
bool bitlocker_block_newer(const struct bitlocker_block *a, const struct bitlocker_block *b);
/* Make block i the one that counts: fill in b. err: FORMAT, with b->block[i].problem set */
MUST_CHECK enum err bitlocker_block_use(struct bitlocker *b, unsigned i);

/* From the entry of a protector to its row; data: behind the entry's header; off: of data in the block. */
MUST_CHECK enum err bitlocker_protector_decode(const uint8_t *data, size_t len, uint32_t off,
                                               struct bitlocker_protector *ret);
/* The salt of its stretch, 16 bytes in place; NULL: it has none. */
const uint8_t *bitlocker_protector_salt(const struct bitlocker *b, const struct bitlocker_protector *p);
/* Open what it seals. err: AUTH (another key), or what the back end says */
MUST_CHECK enum err bitlocker_protector_open(const struct bitlocker *b, const struct bitlocker_protector *p,
                                             const uint8_t key[static 32], struct secret *ret_vmk);

/* Open a sealed key (value 5). data: the entry's. ret: what the key says of itself (0x2003, 0x8004, …) and
 * its bytes. err: AUTH (another key sealed it), FORMAT (no key in it) */
MUST_CHECK enum err bitlocker_unseal(const uint8_t key[static 32], const uint8_t *data, size_t len,
                                     uint16_t *ret_type, struct secret *ret);
/* The first open key of 32 bytes in a list of properties, in place; NULL: there is none. */
const uint8_t *bitlocker_key_in(const uint8_t *p, size_t len);
/* 128, 256; 0 for an unknown method. */
uint16_t bitlocker_key_bits(uint16_t method);

/* Read the bit maps of encrypt-on-write, add what they take to the ranges.
 * err: NOT_FOUND (there are none any more), FORMAT, IO */
MUST_CHECK enum err bitlocker_eow_load(struct bitlocker_volume *v, struct bitlocker_problem *ret_problem);
/* Kind and length of what lies at off, below end. err: IO */
MUST_CHECK enum err bitlocker_eow_extent(const struct bitlocker_volume *v, uint64_t off, uint64_t end,
                                         enum bitlocker_extent *ret_kind, uint64_t *ret_len);

/* What Windows shows as zeros; sorted and apart afterwards. */
void bitlocker_ranges_add(struct bitlocker_volume *v, uint64_t off, uint64_t len);
void bitlocker_ranges_sort(struct bitlocker_volume *v);

/* The diffuser's way back over one sector of len bytes (512 to 4096), sector key included.
 * source: Ferguson, "AES-CBC + Elephant diffuser", 2006, section 4 */
void bitlocker_elephant_decrypt(uint8_t *sector, size_t len, const uint8_t sector_key[static 32]);

/* CRC-32 as in zlib; crc 0 to begin with. */
uint32_t bitlocker_crc32(uint32_t crc, const uint8_t *p, size_t len);
/* FILETIME to seconds since 1970; 0 before that. */
uint64_t bitlocker_time(uint64_t filetime);
/* UTF-16 little-endian up to its zero, as printable UTF-8. ret: cap bytes, zero-terminated */
void bitlocker_text(const uint8_t *p, size_t len, char *ret, size_t cap);
/* UTF-8 to UTF-16 little-endian. err: RANGE (not UTF-8, longer than cap / 2) */
MUST_CHECK enum err bitlocker_utf16(const char *text, size_t len, uint8_t *ret, size_t cap, size_t *ret_len);
