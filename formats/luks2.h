#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LUKS2: read the header, open a keyslot, check the volume key against its digest. Never writes.
 * Same code in firmware and in the OS; JSON by jsmn into a caller's token array; all I/O by callback.
 * source: LUKS2 On-Disk Format Specification 1.1.x; docs/formats.md#luks2 */

#include "crypto/err.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "formats/envelope.h"
#include "formats/guid.h"
#include "formats/volume_io.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LUKS2_SLOTS   32
#define LUKS2_TOKENS  32
#define LUKS2_HDR_MIN 16384
#define LUKS2_HDR_MAX (4u << 20)
#define LUKS2_BIN_HDR 4096
#define LUKS2_LABEL   48
#define LUKS2_KEY_MAX 64
#define LUKS2_STRIPES 4000 /* anti-forensic stripes; cryptsetup knows no other number */

enum luks2_kdf { LUKS2_PBKDF2 = 1, LUKS2_ARGON2I = 2, LUKS2_ARGON2ID = 3 };

struct luks2_slot {
    bool used;
    uint8_t kdf;  /* enum luks2_kdf */
    uint8_t hash; /* enum cr_hash of PBKDF2 */
    uint8_t af_hash;
    uint32_t iterations; /* PBKDF2 iterations or Argon2 time */
    uint32_t memory_kib, lanes;
    uint8_t salt[64];
    uint32_t salt_len;
    uint32_t key_size; /* bytes of the volume key */
    uint32_t af_stripes;
    uint64_t area_off, area_size;
    uint32_t area_key_size; /* aes-xts-plain64 key of the area */
    bool supported;         /* every parameter is one that this reader can open */
};

enum luks2_state { LUKS2_TOKEN_PENDING = 1, LUKS2_TOKEN_LIVE = 2, LUKS2_TOKEN_RETIRED = 3 };

/* A token of type "keyholt". */
struct luks2_token {
    bool used;
    uint8_t state;  /* enum luks2_state */
    int slot;       /* keyslot it names; the first of "keyslots", else the intended "slot"; -1 none */
    bool assigned;  /* "keyslots" is not empty */
    uint32_t count; /* PBKDF2 count its keyslot has or will have */
    struct guid key_id;
    uint8_t envelope[ENVELOPE_MAX];
    size_t envelope_len;
    uint8_t fingerprint[32];
    bool has_fingerprint;
    uint8_t cause;        /* enum kh_cause: why it was made; 0 not said, or by a later version */
    bool receipted;       /* a server's receipt covers its escrow record */
    bool has_replaces;    /* the password of this other key is spent: used, or shown to a person */
    struct guid replaces; /* only with has_replaces */
};

struct luks2_segment {
    uint64_t off; /* bytes */
    uint32_t sector_size;
    uint32_t key_size; /* of the cipher, from its digest's volume key */
    bool aes_xts_plain64;
};

struct luks2_digest {
    uint8_t hash;
    uint32_t iterations;
    uint8_t salt[64], value[64];
    uint32_t salt_len, value_len;
    uint32_t slots; /* bit i: keyslot i opens this volume key */
};

struct luks2 {
    struct guid uuid;
    char uuid_text[GUID_TEXT]; /* as written in the header */
    char label[LUKS2_LABEL + 1];
    uint64_t seqid;
    uint32_t hdr_size;   /* binary header and JSON, bytes */
    bool from_secondary; /* the primary header did not verify */
    bool reencrypting;   /* a "reencrypt" keyslot or requirement is there */
    struct luks2_slot slot[LUKS2_SLOTS];
    struct luks2_token token[LUKS2_TOKENS]; /* only those of type keyholt are used */
    unsigned n_tokens, n_slots;             /* all of them, whatever their type */
    struct luks2_segment segment;           /* the first crypt segment */
    struct luks2_digest digest;             /* of that segment */
};

enum luks2_kind { LUKS2_NOT_LUKS = 1, LUKS2_IS_LUKS1 = 2, LUKS2_IS_LUKS2 = 3 };

/* Look at the first bytes (and the places of a secondary header). */
MUST_CHECK enum err luks2_probe(const struct volume_io *io, enum luks2_kind *ret);

/* Read and check the header: primary, else secondary, the higher sequence number when both verify.
 * scratch: caller's memory for JSON and jsmn tokens; LUKS2_SCRATCH(hdr_size) bytes do for a header of that
 *          size; 512 KiB do for the default 16 KiB header
 * err: NOT_FOUND (no LUKS2 header), VERSION (LUKS1), FORMAT (malformed), FULL (scratch too small),
 *      UNSUPPORTED (unknown mandatory requirement), IO */
MUST_CHECK enum err luks2_load(const struct volume_io *io, void *scratch, size_t scratch_len,
                               struct luks2 *ret);
#define LUKS2_SCRATCH(hdr_size) ((size_t)(hdr_size)*14)

/* Bytes of area buffer that opening this slot needs: stripes × key size; 0 for a slot without such an area.
 * At most LUKS2_AREA_MAX, whatever the header says. */
#define LUKS2_AREA_MAX (LUKS2_STRIPES * LUKS2_KEY_MAX)
size_t luks2_area_len(const struct luks2_slot *s);

/* Open one keyslot with a passphrase and check the volume key against the digest.
 * area:    scratch of luks2_area_len() bytes; wiped before return
 * ret_key: the volume key
 * err: AUTH (does not open), NOT_FOUND (no such slot), UNSUPPORTED, NOMEM (Argon2), IO, FULL
 * cost: the slot's KDF, 4000 hash blocks, and the digest's PBKDF2 (its count is not ours) */
MUST_CHECK enum err luks2_open_slot(const struct volume_io *io, const struct luks2 *l, unsigned slot,
                                    const void *passphrase, size_t passphrase_len, uint8_t *area,
                                    size_t area_len, struct secret *ret_key);

/* Fingerprint of a keyslot: SHA-256 over everything that opening depends on.
 * Order and encoding: docs/formats.md#fingerprint. area as above. */
MUST_CHECK enum err luks2_fingerprint(const struct volume_io *io, const struct luks2 *l, unsigned slot,
                                      uint8_t *area, size_t area_len, uint8_t ret[static 32]);
