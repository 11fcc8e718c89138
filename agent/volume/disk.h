#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hardware edge below agent/volume/header.h: a LUKS2 volume as the keeper needs it, in a table of
 * operations. Nothing here knows what is Keyholt's: the rules stand above the table, so that they can be
 * tried on a disk in memory that fails, fills up, or has another writer (tests/unit/fake_disk.h). */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <stddef.h>
#include <stdint.h>

#define DISK_TOKEN_NEW (-1)
#define DISK_ANY_SLOT  (-1)

struct disk; /* one open volume; each implementation has its own */

struct disk_sizes {
    uint64_t metadata; /* bytes of one copy of the header, binary part and JSON */
    uint64_t keyslots; /* bytes of all key material areas */
    size_t volume_key; /* bytes */
};

/* Results are untouched on failure; a failure leaves its reason. Whatever changes the header works on the
 * header as the last load() read it, is refused (ERR_BUSY or another failure) when somebody wrote since, and
 * is durable when it returns; one that fails may be written all the same. CONFLICT is the word of the rules
 * above, and of no operation. */
struct disk_ops {
    /* For reading only; looks at nothing. err: NOT_FOUND, DENIED, UNSUPPORTED (neither a block device nor a
     * file), IO, NOMEM */
    enum err (*open)(const char *path, struct disk **ret);
    void (*close)(struct disk *d); /* takes NULL */
    /* err: TRUNCATED (behind the end), IO */
    enum err (*read)(struct disk *d, uint64_t off, void *buf, size_t len);

    /* Read the header again for all that follows. A damaged second copy is repaired by that. err: FORMAT, ...
     */
    enum err (*load)(struct disk *d);
    /* Wait until nobody has the header's lock, for some seconds.
     * ret_who: cap characters; on BUSY who has it, as find_writer() */
    enum err (*wait_lock)(struct disk *d, char *ret_who, size_t cap);
    /* Who writes the header now, watched for a second: name and process, or "another program". */
    void (*find_writer)(struct disk *d, char *ret_who, size_t cap);

    enum err (*sizes)(struct disk *d, struct disk_sizes *ret);
    /* JSON text of a token of any type, as load() read it. ret: borrowed until the next operation.
     * err: NOT_FOUND and no other, for nothing is read here */
    enum err (*token)(struct disk *d, int token, const char **ret);

    /* The volume key, by this keyslot or DISK_ANY_SLOT. err: AUTH (opens none), NOMEM, IO */
    enum err (*unlock)(struct disk *d, int slot, const struct secret *passphrase,
                       struct secret *ret_volume_key, int *ret_slot);
    /* Does it open this keyslot? err: AUTH */
    enum err (*try_slot)(struct disk *d, unsigned slot, const struct secret *passphrase);
    /* err: AUTH (it is another volume's) */
    enum err (*check_volume_key)(struct disk *d, const struct secret *volume_key);

    /* PBKDF2-HMAC-SHA256 of this count; area in aes-xts-plain64 with a key of DISK_AREA_KEY bytes, whatever
     * the volume's own cipher. err: FULL, AUTH (not the volume key), FORMAT (the number is taken), IO */
    enum err (*add_slot)(struct disk *d, unsigned slot, uint32_t count, const struct secret *volume_key,
                         const struct secret *passphrase);
    /* Wipe its key material and remove it; no token names it then. */
    enum err (*destroy_slot)(struct disk *d, unsigned slot);
    /* Write one, with the next free number (DISK_TOKEN_NEW) or in place of this one; json NULL removes it.
     * ret_token: its number. err: FULL, FORMAT, IO */
    enum err (*put_token)(struct disk *d, int token, const char *json, int *ret_token);

    /* Why the last operation that failed did: half a sentence for a person, "" not known. */
    const char *(*reason)(void);
};

#define DISK_AREA_KEY 64

/* The table of this program: agent/volume/disk_cryptsetup.c, over libcryptsetup; a unit test links its own.
 */
extern const struct disk_ops disk_ops;
