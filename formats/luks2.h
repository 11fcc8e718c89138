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

#define LUKS2_SLOTS    32
#define LUKS2_TOKENS   32
#define LUKS2_SEGMENTS 32
#define LUKS2_DIGESTS  8 /* kept; libcryptsetup makes no more */
#define LUKS2_HDR_MIN  16384
#define LUKS2_HDR_MAX  (4u << 20)
#define LUKS2_BIN_HDR  4096
#define LUKS2_LABEL    48
#define LUKS2_KEY_MAX  128  /* with integrity protection, cipher and MAC keys are one */
#define LUKS2_STRIPES  4000 /* anti-forensic stripes; cryptsetup knows no other number */
/* A name out of the header (of a type, cipher, hash, flag): printable ASCII, other characters as '?', a
 * longer one cut and ended with "...", zero-terminated. For people; what it means stands beside it as a
 * number. */
#define LUKS2_NAME  48
#define LUKS2_NAMES 8 /* kept of a list of names; n_… counts all */

enum luks2_kdf { LUKS2_PBKDF2 = 1, LUKS2_ARGON2I = 2, LUKS2_ARGON2ID = 3 };
enum luks2_priority { LUKS2_IGNORE = 1, LUKS2_NORMAL = 2, LUKS2_PREFER = 3 };
/* 0 stands for every other cipher. */
enum luks2_cipher {
    LUKS2_XTS_PLAIN64 = 1, /* aes-xts-plain64 */
    LUKS2_XTS_PLAIN = 2,
    LUKS2_CBC_ESSIV = 3, /* aes-cbc-essiv:sha256 */
    LUKS2_CBC_PLAIN64 = 4,
    LUKS2_CBC_PLAIN = 5
};

struct luks2_slot {
    bool used;
    bool supported;      /* every parameter is one that this reader can open */
    bool unbound;        /* its key is no segment's (cryptsetup luksAddKey --unbound) */
    uint8_t kdf;         /* enum luks2_kdf, 0 another */
    uint8_t hash;        /* enum cr_hash of PBKDF2, 0 another or none */
    uint8_t af_hash;     /* enum cr_hash, 0 another */
    uint8_t cipher;      /* enum luks2_cipher of the area */
    uint8_t priority;    /* enum luks2_priority; cryptsetup tries IGNORE only where it is named */
    int8_t digest;       /* index of the digest that its key must match, -1 none that is kept */
    uint32_t iterations; /* PBKDF2 iterations or Argon2 time */
    uint32_t memory_kib, lanes;
    uint8_t salt[64];
    uint32_t salt_len;
    uint32_t key_size; /* bytes of the volume key */
    uint32_t af_stripes;
    uint64_t area_off, area_size;
    uint32_t area_key_size; /* bytes of the key of the area's cipher */
    const char *why_not;    /* half a sentence: why it cannot be opened here; NULL when supported. Static */
    char type[LUKS2_NAME];  /* "luks2", "reencrypt", … */
    char kdf_name[LUKS2_NAME], hash_name[LUKS2_NAME], af_hash_name[LUKS2_NAME], cipher_name[LUKS2_NAME];
};

enum luks2_state { LUKS2_TOKEN_PENDING = 1, LUKS2_TOKEN_LIVE = 2, LUKS2_TOKEN_RETIRED = 3 };

/* A token of any type; one of type "keyholt" decoded. */
struct luks2_token {
    bool there;            /* a token has this number */
    char type[LUKS2_NAME]; /* of any token */
    uint32_t slots;        /* bit i: it names keyslot i; any token */
    bool used;             /* it is ours and well-formed; only then the rest holds */
    uint8_t state;         /* enum luks2_state */
    int slot;              /* keyslot it names; the first of "keyslots", else the intended "slot"; -1 none */
    bool assigned;         /* "keyslots" is not empty */
    uint32_t count;        /* PBKDF2 count its keyslot has or will have */
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

/* A regular segment, one that holds data (backups of a re-encryption are none). In the order of their numbers
 * they make up the plaintext device, one behind the other. */
struct luks2_segment {
    bool crypt;           /* false: "linear", data in clear, or a type that is not known (see type) */
    bool in_reencryption; /* its content is being moved: what it is only a recovery run can tell */
    uint8_t cipher;       /* enum luks2_cipher */
    int8_t digest;        /* index of the digest of its volume key, -1 none that is kept */
    uint64_t off, size;   /* bytes on the data device; size LUKS2_TO_END: to its end */
    uint64_t iv_offset;   /* "iv_tweak", added to the number of each 512-byte unit of the segment */
    uint32_t sector_size;
    uint32_t key_size;     /* bytes, of its digest's volume key, as the keyslots say; 0 not known */
    const char *why_not;   /* half a sentence: why it cannot be read here; NULL when it can. Static */
    char type[LUKS2_NAME]; /* "crypt", "linear", … */
    char cipher_name[LUKS2_NAME];
    char integrity[LUKS2_NAME]; /* type of integrity protection (`luksFormat --integrity`), "" none */
};
#define LUKS2_TO_END UINT64_MAX

struct luks2_digest {
    uint8_t hash; /* enum cr_hash; 0: cannot be checked here */
    uint32_t iterations;
    uint8_t salt[64], value[64];
    uint32_t salt_len, value_len;
    uint32_t slots;    /* bit i: keyslot i opens this volume key */
    uint32_t segments; /* bit i: it is the key of segment i, backups counted */
};

struct luks2 {
    struct guid uuid;
    char uuid_text[GUID_TEXT]; /* as written in the header */
    char label[LUKS2_LABEL + 1], subsystem[LUKS2_LABEL + 1];
    uint64_t seqid;
    uint32_t hdr_size;         /* binary header and JSON, bytes */
    uint32_t json_len;         /* bytes of JSON in use */
    bool from_secondary;       /* the primary header did not verify */
    bool reencrypting;         /* a "reencrypt" keyslot or requirement is there */
    bool reencrypting_offline; /* by the old cryptsetup-reencrypt, which says nowhere here how far it came */
    struct luks2_slot slot[LUKS2_SLOTS];
    struct luks2_token token[LUKS2_TOKENS];
    unsigned n_tokens, n_slots; /* all of them, whatever their type */
    struct luks2_segment segment[LUKS2_SEGMENTS];
    unsigned n_segments;                       /* regular ones */
    struct luks2_digest digest[LUKS2_DIGESTS]; /* the first is that of the first crypt segment */
    unsigned n_digests;                        /* kept */
    char flag[LUKS2_NAMES][LUKS2_NAME]; /* "allow-discards", …: how to activate, nothing for reading */
    char requirement[LUKS2_NAMES][LUKS2_NAME]; /* mandatory, all known here, or the header is refused */
    unsigned n_flags, n_requirements;
};

/* What is wrong with a volume, for one sentence to a person. Filled on failure, untouched on success. */
struct luks2_problem {
    const char *what;      /* half a sentence without the name ("it needs a feature that is not known here").
                              Static, never NULL once filled */
    char name[LUKS2_NAME]; /* what it is about: the feature, keyslot, cipher; "" nothing */
    uint64_t off;          /* byte offset on the header's device, LUKS2_NO_OFF: no place to point at */
    size_t need;           /* with FULL: bytes of scratch that suffice */
};
#define LUKS2_NO_OFF UINT64_MAX

enum luks2_kind { LUKS2_NOT_LUKS = 1, LUKS2_IS_LUKS1 = 2, LUKS2_IS_LUKS2 = 3 };

/* Look at the first bytes (and the places of a secondary header). */
MUST_CHECK enum err luks2_probe(const struct volume_io *io, enum luks2_kind *ret);

/* Read and check the header: primary, else secondary, the higher sequence number when both verify.
 * io:      the volume, or its detached header
 * scratch: caller's memory for JSON and jsmn tokens. LUKS2_SCRATCH_USUAL bytes do for what cryptsetup and its
 *          like write, whatever the area's size; LUKS2_SCRATCH(hdr_size) for all that a header of that size
 *          can hold. Where it does not suffice, luks2_load_why() says how much does
 * err: NOT_FOUND (no LUKS2 header), VERSION (LUKS1), FORMAT (malformed), FULL (scratch too small),
 *      UNSUPPORTED (unknown mandatory requirement), IO */
MUST_CHECK enum err luks2_load(const struct volume_io *io, void *scratch, size_t scratch_len,
                               struct luks2 *ret);
/* The same, and on failure what is wrong and where. why: never NULL */
MUST_CHECK enum err luks2_load_why(const struct volume_io *io, void *scratch, size_t scratch_len,
                                   struct luks2_problem *why, struct luks2 *ret);
#define LUKS2_SCRATCH(hdr_size) ((size_t)(hdr_size)*14)
#define LUKS2_SCRATCH_USUAL     ((size_t)256 << 10)

/* Bytes of area buffer that opening this slot needs: stripes × key size; 0 for a slot without such an area.
 * At most LUKS2_AREA_MAX, whatever the header says. */
#define LUKS2_AREA_MAX (LUKS2_STRIPES * LUKS2_KEY_MAX)
size_t luks2_area_len(const struct luks2_slot *s);

/* Open one keyslot with a passphrase and check the volume key against its digest.
 * io:      where the header came from
 * area:    scratch of luks2_area_len() bytes; wiped before return
 * ret_key: the volume key
 * err: AUTH (does not open), NOT_FOUND (no such slot), UNSUPPORTED (why_not says it), NOMEM (Argon2), IO,
 * FULL cost: the slot's KDF, 4000 hash blocks, and the digest's PBKDF2 (its count is not ours) */
MUST_CHECK enum err luks2_open_slot(const struct volume_io *io, const struct luks2 *l, unsigned slot,
                                    const void *passphrase, size_t passphrase_len, uint8_t *area,
                                    size_t area_len, struct secret *ret_key);

/* The next keyslot to try when none is named, as cryptsetup goes: PREFER first, then NORMAL, by number; never
 * IGNORE, unbound or unsupported ones. Start with *slot = -1. False: that was the last. */
bool luks2_next_slot(const struct luks2 *l, int *slot);

/* Fingerprint of a keyslot: SHA-256 over everything that opening depends on.
 * Order and encoding: docs/formats.md#fingerprint. area as above. */
MUST_CHECK enum err luks2_fingerprint(const struct volume_io *io, const struct luks2 *l, unsigned slot,
                                      uint8_t *area, size_t area_len, uint8_t ret[static 32]);
