#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cache.db: what the keeper remembers, in SQLite (WAL, synchronous=FULL). It lies inside the encrypted root,
 * so nothing that opens a volume may depend on it: everything about keys can be rebuilt from the tokens in
 * the volumes' headers. It never holds a password. A call outside cache_begin()/cache_commit() is durable
 * when it returns. FULL means that the disk is full and nothing of the call was kept. */

#include "crypto/err.h"
#include "formats/envelope.h"
#include "formats/guid.h"
#include "formats/receipt.h"
#include "formats/record.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cache;

#define CACHE_KEYS 64
#define CACHE_NOTE 256

enum cache_volume_state {
    VOLUME_PENDING = 1,       /* no keyslot of ours opens it (yet) */
    VOLUME_PROTECTED = 2,     /* one live key */
    VOLUME_NEEDS_SECRET = 3,  /* a rotation waits for a used recovery password or a passphrase */
    VOLUME_WAITS_RECEIPT = 4, /* a live key, but the policy wants a server's receipt before that counts */
    VOLUME_DESTROYED = 5      /* its device was there at the last look, and no header */
};

struct cache_volume {
    struct guid uuid;
    char device[PATH_MAX];
    char label[RECORD_TEXT_MAX + 1];
    uint8_t state;         /* enum cache_volume_state */
    uint8_t rotate;        /* enum kh_cause of a rotation that is wanted, 0 none */
    char note[CACHE_NOTE]; /* what a person should know, or empty */
};

enum cache_key_state {
    KEY_PLANNED = 1,   /* sealed; perhaps a token, perhaps a slot, not tried */
    KEY_LIVE = 2,      /* opened its keyslot once */
    KEY_RETIRED = 3,   /* its keyslot is gone */
    KEY_RETURNED = 5,  /* retired, and in use again: somebody wrote an old header back */
    KEY_UNVERIFIED = 4 /* in use, but changed behind our back, or not known to be ours */
};

struct cache_key {
    struct guid key_id, volume;
    int slot;
    uint32_t count;
    uint8_t state; /* enum cache_key_state */
    uint8_t fingerprint[32], commitment[32];
    uint64_t verified; /* time of the last proof, 0 never */
    uint64_t made;
    uint8_t cause;            /* enum kh_cause: why it was made, 0 not known */
    uint8_t spent;            /* enum kh_cause: USED or DISCLOSED, 0 not */
    bool recorded, receipted; /* its escrow record exists; a receipt covers it */
    bool packed;              /* a receipt of class `packed` covers it */
    /* By the server's clock, 0 none; cache_put_key() leaves both as they are: */
    uint64_t ordered; /* time of the latest order to replace it that came: cache_key_ordered() */
    uint64_t known;   /* earliest receipt of a record that says that it was replaced */
};

/* Open, create, or bring to this version's schema. A new or damaged one gets a new incarnation; a damaged
 * file is moved aside, never deleted. err: FULL, VERSION (made by a newer keeper), IO, DENIED, BUSY */
MUST_CHECK enum err cache_open(const char *path, struct cache **ret);
void cache_close(struct cache *c); /* takes NULL */

/* One transaction; it does not nest. cache_rollback() is harmless outside one. */
MUST_CHECK enum err cache_begin(struct cache *c);
MUST_CHECK enum err cache_commit(struct cache *c); /* one that fails is taken back */
void cache_rollback(struct cache *c);
/* Commit what went well, take back what did not. so_far: how it went, cache_begin() included
 * returns: so_far, or why the commit failed */
MUST_CHECK enum err cache_end(struct cache *c, enum err so_far);

/* Small named values. err: NOT_FOUND, RANGE (longer than cap) */
MUST_CHECK enum err cache_get(struct cache *c, const char *name, void *ret, size_t cap, size_t *ret_len);
MUST_CHECK enum err cache_set(struct cache *c, const char *name, const void *p, size_t len);
MUST_CHECK enum err cache_get_u64(struct cache *c, const char *name, uint64_t *ret);
MUST_CHECK enum err cache_set_u64(struct cache *c, const char *name, uint64_t v);
MUST_CHECK enum err cache_unset(struct cache *c, const char *name);

MUST_CHECK enum err cache_put_volume(struct cache *c, const struct cache_volume *v);
MUST_CHECK enum err cache_get_volume(struct cache *c, const struct guid *uuid, struct cache_volume *ret);
/* All of them, however many there are, in order of device.
 * ret: free() it; NULL when there is none. err: NOMEM, IO, ... */
MUST_CHECK enum err cache_volumes(struct cache *c, struct cache_volume **ret, unsigned *ret_n);

/* What the keeper knows of a volume's header beside its keys. */
enum cache_management {
    MANAGEMENT_NONE = 0,     /* never made: an older agent protected it, or there was no room */
    MANAGEMENT_NO_PLACE = 1, /* this computer's root is not encrypted: its key would lie in clear */
    MANAGEMENT_FILE = 2,     /* its key, in root's file, opened the volume at the last look */
    MANAGEMENT_TPM = 3,      /* the same, bound to the TPM */
    MANAGEMENT_LOST = 4,     /* made once; its key or keyslot is gone */
    MANAGEMENT_AWAY = 5      /* whole, but the TPM that holds its key cannot be asked now */
};

struct cache_life {
    struct guid uuid;
    uint64_t seqid;     /* of the header, when it was last looked at */
    uint64_t checked;   /* time of the last look at every keyslot of ours, 0 never */
    uint8_t management; /* enum cache_management */
    bool is_exposed;    /* a removed password may still open a copy of the header */
    uint8_t digest[32]; /* header_digest(): another one means another volume key, which ends that */
};

/* err: NOT_FOUND */
MUST_CHECK enum err cache_get_life(struct cache *c, const struct guid *uuid, struct cache_life *ret);
MUST_CHECK enum err cache_put_life(struct cache *c, const struct cache_life *l);

/* Keep an envelope for ever; known ones stay as they are. */
MUST_CHECK enum err cache_put_envelope(struct cache *c, const struct guid *key_id, const uint8_t *p,
                                       size_t len);
/* err: NOT_FOUND */
MUST_CHECK enum err cache_get_envelope(struct cache *c, const struct guid *key_id,
                                       uint8_t ret[static ENVELOPE_MAX], size_t *ret_len);
/* The next envelope, by key ID, that was put into an escrow record.
 * key_id: the one before, zeros for the first; becomes this one's. err: NOT_FOUND (that was the last) */
MUST_CHECK enum err cache_next_envelope(struct cache *c, struct guid *key_id,
                                        uint8_t ret[static ENVELOPE_MAX], size_t *ret_len);
/* SHA-256 over the sorted SHA-256 hashes of all envelopes that were ever put into an escrow record. */
MUST_CHECK enum err cache_envelopes_digest(struct cache *c, uint8_t ret[static 32]);

MUST_CHECK enum err cache_put_key(struct cache *c, const struct cache_key *k);
MUST_CHECK enum err cache_get_key(struct cache *c, const struct guid *key_id, struct cache_key *ret);
/* An order of that time came. An earlier one, or of an unknown key, does nothing. */
MUST_CHECK enum err cache_key_ordered(struct cache *c, const struct guid *key_id, uint64_t time);
/* All keys of a volume, newest first. ret: CACHE_KEYS elements */
MUST_CHECK enum err cache_keys(struct cache *c, const struct guid *volume, struct cache_key *ret,
                               unsigned *ret_n);

/* When the newest key of a volume was made that was ever in use; 0: there is none. */
MUST_CHECK enum err cache_newest_key(struct cache *c, const struct guid *volume, uint64_t *ret);

struct cache_record {
    uint8_t name[32];
    uint8_t *bytes; /* owned; free() */
    size_t len;
};

/* Put a record into the outbox. key_id: the key whose envelope it escrows, NULL for other records. */
MUST_CHECK enum err cache_add_record(struct cache *c, uint8_t kind, const uint8_t name[static 32],
                                     const uint8_t *bytes, size_t len, const struct guid *key_id);
/* Was one whose name begins so ever put there? err: NOT_FOUND */
MUST_CHECK enum err cache_find_record(struct cache *c, const uint8_t begin[static 8]);
/* What this device signed and no receipt covers yet, escrow records first, then in the order they were made.
 * (A computer whose TPM was cleared has records of an earlier identity, too: they are sent under its name.)
 * ret: max elements; their bytes are the caller's */
MUST_CHECK enum err cache_outbox(struct cache *c, const uint8_t device[static 32], struct cache_record *ret,
                                 unsigned max, unsigned *ret_n);
/* The same without the first skip of them. */
MUST_CHECK enum err cache_outbox_from(struct cache *c, const uint8_t device[static 32], unsigned skip,
                                      struct cache_record *ret, unsigned max, unsigned *ret_n);
MUST_CHECK enum err cache_outbox_count(struct cache *c, const uint8_t device[static 32], unsigned *ret);
/* Of all others. */
MUST_CHECK enum err cache_outbox_others(struct cache *c, const uint8_t device[static 32], unsigned *ret);
/* The number of the next batch that has records, or of the next export; each is higher than the one before,
 * from 1. */
MUST_CHECK enum err cache_next_attempt(struct cache *c, uint64_t *ret);
/* Keep a receipt whole and mark the records that it covers. A record that went back into the outbox wants one
 * that answers a later batch (or, where a receipt names none, a newer one by the server's clock than it ever
 * had): an old one says nothing of what was lost since. A higher class replaces a lower one.
 * of: what it says
 * ret_n: records that it settled */
MUST_CHECK enum err cache_add_receipt(struct cache *c, const uint8_t *bytes, size_t len,
                                      const struct receipt *of, unsigned *ret_n);
/* Receipts that records now in the outbox had before: proof, to a server that lacks them, that it lost them.
 * ret: max elements; their bytes are the caller's, their names are not filled */
MUST_CHECK enum err cache_proofs(struct cache *c, const uint8_t device[static 32], struct cache_record *ret,
                                 unsigned max, unsigned *ret_n);
/* What was to be signed while the device key could not: records without place in the chain and signature, in
 * the order they were made. */
struct cache_draft {
    int64_t id;
    uint8_t bytes[RECORD_MAX];
    size_t len;
    bool has_key;
    struct guid key_id; /* whose envelope it escrows */
};
MUST_CHECK enum err cache_add_draft(struct cache *c, uint8_t kind, const uint8_t *bytes, size_t len,
                                    const struct guid *key_id);
/* The oldest. err: NOT_FOUND (there is none) */
MUST_CHECK enum err cache_next_draft(struct cache *c, struct cache_draft *ret);
MUST_CHECK enum err cache_drop_draft(struct cache *c, int64_t id);
/* All of one kind of record: a newer one says more. */
MUST_CHECK enum err cache_clear_drafts(struct cache *c, uint8_t kind);
MUST_CHECK enum err cache_drafts(struct cache *c, unsigned *ret);
/* A record says that this key was replaced; of several the last one counts. */
MUST_CHECK enum err cache_put_rotation(struct cache *c, const struct guid *key_id,
                                       const uint8_t name[static 32]);
/* Put the record that says so into the outbox again. err: NOT_FOUND (none does) */
MUST_CHECK enum err cache_resend_rotation(struct cache *c, const struct guid *key_id);
/* Hashes of envelopes whose record this device signed and a receipt covers, sorted: those behind after (NULL:
 * from the first on).
 * ret: max elements */
MUST_CHECK enum err cache_envelope_page(struct cache *c, const uint8_t device[static 32],
                                        const uint8_t *after, unsigned max, uint8_t (*ret)[32],
                                        unsigned *ret_n);
/* Put this device's escrow record of one envelope into the outbox again, where a receipt covers it that
 * answers an earlier batch than attempt: one that came since says that it is there. An unknown hash does
 * nothing.
 * attempt: of the batch or export in whose answer a server says that it lacks it; CACHE_NOW: of the last one,
 *          or of one without a number */
#define CACHE_NOW UINT32_MAX
MUST_CHECK enum err cache_resend_envelope(struct cache *c, const uint8_t device[static 32],
                                          const uint8_t hash[static 32], uint32_t attempt);
/* Escrow records of this device that no receipt covers. */
MUST_CHECK enum err cache_outbox_escrows(struct cache *c, const uint8_t device[static 32], unsigned *ret);
/* The same for key packages, which are told apart by the names of their records. cache_packages_digest():
 * SHA-256 over the sorted names of all that this device made. err: NOT_FOUND (it made none) */
MUST_CHECK enum err cache_packages_digest(struct cache *c, const uint8_t device[static 32],
                                          uint8_t ret[static 32]);
MUST_CHECK enum err cache_package_page(struct cache *c, const uint8_t device[static 32], const uint8_t *after,
                                       unsigned max, uint8_t (*ret)[32], unsigned *ret_n);
MUST_CHECK enum err cache_resend_package(struct cache *c, const uint8_t device[static 32],
                                         const uint8_t name[static 32], uint32_t attempt);
MUST_CHECK enum err cache_outbox_packages(struct cache *c, const uint8_t device[static 32], unsigned *ret);
/* The next record of a key package that a device made, by name.
 * name: the one before, zeros for the first; becomes this one's
 * ret:  RECORD_MAX bytes. err: NOT_FOUND (that was the last) */
MUST_CHECK enum err cache_next_package(struct cache *c, const uint8_t device[static 32],
                                       uint8_t name[static 32], uint8_t *ret, size_t *ret_len);
/* That record's bytes. ret: RECORD_MAX bytes. err: NOT_FOUND */
MUST_CHECK enum err cache_rotation_record(struct cache *c, const struct guid *key_id, uint8_t *ret,
                                          size_t *ret_len);
/* A new identity: what an earlier one said of replaced keys is not its word; it says so itself when asked. */
MUST_CHECK enum err cache_clear_rotations(struct cache *c);
/* Put every escrow record of this device into the outbox again: the server says that it lacks some. */
MUST_CHECK enum err cache_resend_escrows(struct cache *c, const uint8_t device[static 32]);
