#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* BitLocker: read the metadata of a volume, open its keys, read its content as Windows shows it. Never
 * writes. Same code in firmware and in the OS; all I/O by callback, all memory the caller's, no static state.
 *
 *     bitlocker_load(&io, size, memory, sizeof memory, &b, &problem)   metadata: state, protectors
 *     bitlocker_unlock_recovery(&b, password, &which, &vmk)            or another way in
 *     bitlocker_open(&b, &vmk, &volume, &problem)                      volume key checked and prepared
 *     bitlocker_read(&volume, off, buf, len)                           any number of times
 *     bitlocker_wipe(&volume)
 *
 * source: docs/formats.md#bitlocker */

#include "crypto/err.h"
#include "crypto/secret.h"
#include "crypto/sectors.h"
#include "formats/guid.h"
#include "formats/recovery_password.h"
#include "formats/volume_io.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITLOCKER_BLOCKS     3          /* FVE metadata blocks, all three alike */
#define BITLOCKER_BLOCK_MAX  65536      /* bytes of a block: what Windows sets aside for it */
#define BITLOCKER_PROTECTORS 512        /* a block has no room for more that open */
#define BITLOCKER_TEXT       128        /* bytes of a description with its zero byte; longer ones are cut */
#define BITLOCKER_MEMORY     (1u << 20) /* what bitlocker_load() wants, whatever the volume */
#define BITLOCKER_BEK_MAX    65536      /* bytes of a startup key file; Windows makes 156 */
#define BITLOCKER_VMK        32         /* bytes of a volume master key */

/* What is wrong and where, for one sentence to a person. Set on FORMAT, VERSION, UNSUPPORTED and TRUNCATED.
 */
struct bitlocker_problem {
    const char *what; /* half a sentence, static: "the CRC-32 of the metadata does not match" */
    uint64_t off;     /* byte offset in the volume (of a startup key: in its file) */
};

enum bitlocker_layout {
    BITLOCKER_VISTA = 1, /* boot sector names one block by cluster; the first 8 KiB are stored in clear */
    BITLOCKER_SEVEN = 2, /* Windows 7 and later */
    BITLOCKER_TO_GO = 3  /* a FAT discovery volume lies around it */
};

enum bitlocker_state {
    BITLOCKER_ENCRYPTED = 1,
    BITLOCKER_ENCRYPTING = 2, /* on the way: encrypted_size bytes from the start are, the rest is clear */
    BITLOCKER_DECRYPTING = 3, /* likewise */
    BITLOCKER_DECRYPTED = 4   /* prepared, or done with */
};

/* On-disk values; odd ones stay as they are and are named "unknown". */
enum bitlocker_method {
    BITLOCKER_AES128_ELEPHANT = 0x8000, /* AES-CBC with the Elephant diffuser */
    BITLOCKER_AES256_ELEPHANT = 0x8001,
    BITLOCKER_AES128_CBC = 0x8002,
    BITLOCKER_AES256_CBC = 0x8003,
    BITLOCKER_AES128_XTS = 0x8004,
    BITLOCKER_AES256_XTS = 0x8005
};

enum bitlocker_kind {
    BITLOCKER_CLEAR_KEY = 1, /* protection is suspended */
    BITLOCKER_RECOVERY = 2,  /* recovery password, 48 digits */
    BITLOCKER_PASSPHRASE = 3,
    BITLOCKER_STARTUP_KEY = 4, /* external key: a .BEK file, or another volume's automatic unlocking */
    BITLOCKER_TPM = 5,
    BITLOCKER_TPM_PIN = 6,
    BITLOCKER_TPM_STARTUP_KEY = 7,
    BITLOCKER_TPM_PIN_STARTUP_KEY = 8,
    BITLOCKER_PUBLIC_KEY = 9, /* smart card, data recovery agent */
    BITLOCKER_OTHER = 10
};

struct bitlocker_protector {
    struct guid key_id;
    uint64_t changed;                 /* last change, seconds since 1970; 0 unknown */
    uint16_t protection;              /* as on disk */
    uint8_t kind;                     /* enum bitlocker_kind */
    bool opens_here;                  /* with its secret; false: "cannot be opened here" */
    char description[BITLOCKER_TEXT]; /* printable UTF-8, often empty */
    uint32_t off, len;                /* its properties within the block, for this module */
};

/* One of the three metadata blocks. */
struct bitlocker_block {
    uint64_t off;     /* byte offset in the volume; 0 not known */
    uint64_t created; /* seconds; with the counter the measure of what is newer */
    uint32_t nonce_counter;
    struct bitlocker_problem problem; /* what is NULL: it verifies */
};

/* The caller's memory behind it (bitlocker_load) must outlive it. Safe to read by several threads. */
struct bitlocker {
    struct volume_io io; /* keeps io.ctx */
    uint64_t size;       /* bytes of the decrypted volume: whole sectors */
    uint32_t sector_size, cluster_size;
    uint8_t layout;                 /* enum bitlocker_layout */
    uint8_t state;                  /* enum bitlocker_state */
    bool paused;                    /* the change of state rests */
    bool suspended;                 /* a clear key is there: whoever has the disk has the data */
    bool encrypt_on_write;          /* what is encrypted stands in bit maps, written as the volume is used */
    uint16_t version;               /* of the metadata: 1 Vista, 2 Windows 7 and later */
    uint16_t method;                /* enum bitlocker_method */
    uint16_t key_bits;              /* 128, 256; 0 unknown method */
    uint16_t state_now, state_next; /* as on disk */
    uint64_t encrypted_size; /* bytes from the start that are encrypted; means nothing for encrypt_on_write */
    struct guid volume_id;
    uint64_t created;                 /* seconds since 1970 */
    char description[BITLOCKER_TEXT]; /* printable UTF-8: computer, volume, date */
    struct bitlocker_block block[BITLOCKER_BLOCKS];
    unsigned used; /* the block that counts */
    unsigned n_protectors;
    const struct bitlocker_protector *protector; /* in the caller's memory */

    /* For this module. */
    uint64_t header_off, header_len;      /* where the first sectors of the volume really lie */
    uint64_t mirror;                      /* Vista: cluster of the MFT mirror */
    uint64_t log_len;                     /* bytes at encrypted_size that a running conversion holds */
    uint64_t eow_off[2];                  /* encrypt-on-write: the two descriptors */
    uint64_t block_off[BITLOCKER_BLOCKS]; /* as the block that counts says */
    uint64_t disk_size;                   /* as bitlocker_load() was told */
    bool sector_unknown;                  /* the boot sector did not say */
    struct bitlocker_room *room;
};

/* Content of a volume and the keys to it: caller's memory, for one thread at a time, not to be copied or
 * moved. */
struct bitlocker_volume {
    const struct bitlocker *b; /* keeps; NULL after a failure and after wiping */
    uint16_t method;           /* enum bitlocker_method, as the volume key says */
    struct cr_sectors sectors;
    uint8_t tweak_key[32];               /* of the Elephant diffuser */
    uint8_t tweak_key_len;               /* 0 without */
    const struct bitlocker_range *zeros; /* in the memory behind b: rising, apart */
    unsigned n_zeros;
    const struct bitlocker_map *map; /* likewise; of encrypt-on-write */
    unsigned n_maps;
    uint32_t chunk; /* bytes behind one bit of a map */
};

/* Is this a BitLocker volume? Looks at the first 512 bytes only.
 * ret: true or false; a plain FAT or NTFS volume is false
 * err: IO (a volume shorter than 512 bytes is false) */
MUST_CHECK enum err bitlocker_probe(const struct volume_io *io, bool *ret);

/* Read and check the metadata: all three blocks, the newest that verifies counts.
 * size:   bytes of the volume as io reads it
 * memory: BITLOCKER_MEMORY bytes, kept by ret; holds no secret but a clear key that lies open on the disk
 * ret:    untouched on failure
 * ret_problem: set on FORMAT, VERSION and UNSUPPORTED
 * err:    NOT_FOUND (no BitLocker volume), FORMAT (no block verifies, or what it says cannot be),
 *         VERSION (metadata of a later version), UNSUPPORTED (sector size), FULL (memory too small), IO
 * cost:   reads at most 3 × 64 KiB */
MUST_CHECK enum err bitlocker_load(const struct volume_io *io, uint64_t size, void *memory, size_t memory_len,
                                   struct bitlocker *ret, struct bitlocker_problem *ret_problem);

/* Names for people: "AES-XTS 128", "recovery password", "encrypted". Never NULL. */
const char *bitlocker_method_name(uint16_t method);
const char *bitlocker_kind_name(uint8_t kind);
const char *bitlocker_state_name(uint8_t state);

/* Try one protector with a recovery password. Does no I/O and changes nothing, so that hosted callers try
 * several protectors side by side, a thread each. password: the 16 bytes of rp_decode() ret_vmk:  volume
 * master key, 32 bytes; untouched on failure err:      AUTH (not its password), NOT_FOUND (no such protector,
 * or of another kind), FORMAT cost:     1,048,576 chained SHA-256 of 88 bytes source:
 * docs/formats.md#bitlocker-stretch */
MUST_CHECK enum err bitlocker_try_recovery(const struct bitlocker *b, unsigned protector,
                                           const uint8_t password[static RP_BYTES], struct secret *ret_vmk);
/* Likewise with a passphrase in UTF-8, at most SECRET_MAX bytes.
 * err: also RANGE (too long, not UTF-8) */
MUST_CHECK enum err bitlocker_try_passphrase(const struct bitlocker *b, unsigned protector, const char *text,
                                             size_t len, struct secret *ret_vmk);

/* Try all protectors of the kind, one after another.
 * ret_protector: number of the one that opened
 * err: NOT_FOUND (there is none of the kind), AUTH (none opens), FORMAT, RANGE */
MUST_CHECK enum err bitlocker_unlock_recovery(const struct bitlocker *b,
                                              const uint8_t password[static RP_BYTES],
                                              unsigned *ret_protector, struct secret *ret_vmk);
MUST_CHECK enum err bitlocker_unlock_passphrase(const struct bitlocker *b, const char *text, size_t len,
                                                unsigned *ret_protector, struct secret *ret_vmk);
/* Of the recovery protectors try every n_shares-th from number share on, two side by side at little more than
 * the cost of one: what each of n_shares threads does. share 0 of 1 is bitlocker_unlock_recovery().
 * err: NOT_FOUND (none in this share), else as above */
MUST_CHECK enum err bitlocker_unlock_recovery_share(const struct bitlocker *b,
                                                    const uint8_t password[static RP_BYTES], unsigned share,
                                                    unsigned n_shares, unsigned *ret_protector,
                                                    struct secret *ret_vmk);
/* With the bytes of a startup key file (.BEK). Protectors with the file's key ID are tried first, then the
 * others. ret_problem: set on FORMAT: what is wrong with the file err: NOT_FOUND, AUTH as above; FORMAT (no
 * startup key file) */
MUST_CHECK enum err bitlocker_unlock_startup_key(const struct bitlocker *b, const void *bek, size_t len,
                                                 unsigned *ret_protector, struct secret *ret_vmk,
                                                 struct bitlocker_problem *ret_problem);
/* A suspended volume opens without any secret. err: NOT_FOUND (not suspended), AUTH (damaged) */
MUST_CHECK enum err bitlocker_unlock_clear_key(const struct bitlocker *b, unsigned *ret_protector,
                                               struct secret *ret_vmk);

/* The key ID that a startup key file names, for a person who has the wrong one. err: FORMAT */
MUST_CHECK enum err bitlocker_startup_key_id(const void *bek, size_t len, struct guid *ret,
                                             struct bitlocker_problem *ret_problem);

/* From the volume master key to readable content: checks the metadata's SHA-256 (where this block fails it,
 * another that verifies takes its place, and b says so), opens the volume key, reads the bit maps of
 * encrypt-on-write.
 * b:   may change; no thread may use it meanwhile. Several volumes may be opened on it, a thread each, before
 *      the first is read
 * vmk: NULL will do where nothing is encrypted (BITLOCKER_DECRYPTED)
 * ret: filled in place; wipe it with bitlocker_wipe(); empty on failure
 * err: AUTH (the volume key does not open), FORMAT, UNSUPPORTED (encryption method), IO */
MUST_CHECK enum err bitlocker_open(struct bitlocker *b, const struct secret *vmk,
                                   struct bitlocker_volume *ret, struct bitlocker_problem *ret_problem);

/* How the bytes from off on come about. */
enum bitlocker_extent {
    BITLOCKER_ZEROS = 1, /* nothing is read: metadata, which Windows hides */
    BITLOCKER_CLEAR = 2, /* not encrypted (yet, or any more) */
    BITLOCKER_CIPHER = 3 /* decrypted on the way */
};
/* For sparse output and for progress: kind and length of the extent at off (a multiple of the sector size,
 * below b->size). ret_len: at least one sector, not beyond the volume's end err: RANGE, IO */
MUST_CHECK enum err bitlocker_extent_at(const struct bitlocker_volume *v, uint64_t off,
                                        enum bitlocker_extent *ret_kind, uint64_t *ret_len);

/* Read the decrypted volume.
 * off, len: multiples of b->sector_size, within b->size; the longer the better (1 MiB is plenty)
 * buf:      len bytes; undefined on failure
 * err:      RANGE, IO (TRUNCATED by io counts as IO)
 * cost:     one pass of io and one of the cipher, in batches as long as the extents */
MUST_CHECK enum err bitlocker_read(struct bitlocker_volume *v, uint64_t off, void *buf, size_t len);

/* Forget the keys. Takes a zeroed struct. */
void bitlocker_wipe(struct bitlocker_volume *v);
