#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One volume's LUKS2 header: read by our own reader (formats/luks2.h), changed through agent/volume/disk.h
 * only, which is libcryptsetup.
 *
 * Every change reads the header again first, checks what it relies on, and tells another writer
 * (ERR_CONFLICT) from a failure. What Keyholt did not make is never changed: a slot is destroyed only when
 * number, KDF, hash, count and area fit and no token of somebody else names it alone; a token only when type
 * and key ID fit. Each change is durable (fsync by libcryptsetup) when the call returns. */

#include "agent/problem.h"
#include "agent/volume/disk.h"
#include "crypto/err.h"
#include "crypto/secret.h"
#include "formats/guid.h"
#include "formats/luks2.h"
#include "formats/names.h"
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEADER_TOKEN_NEW DISK_TOKEN_NEW
#define HEADER_ANY_SLOT  DISK_ANY_SLOT
/* Of aes-xts-plain64, the area cipher of every recovery keyslot. source: docs/formats.md#luks2-token */
#define HEADER_AREA_KEY DISK_AREA_KEY

struct header {
    char device[PATH_MAX];
    struct disk *disk;
    struct luks2 luks; /* as of the last header_reload() */
    uint8_t *scratch;
    size_t scratch_len;
    struct problem *why; /* borrowed; where sentences go */
};

/* Open a volume (block device or image file) and read its header.
 * why: borrowed until header_close(); filled on failure, with "nothing was changed" in it
 * err: NOT_FOUND (no such file), UNSUPPORTED (not LUKS2, LUKS1), DENIED, BUSY, FORMAT, IO, NOMEM */
MUST_CHECK enum err header_open(const char *device, struct problem *why, struct header **ret);
void header_close(struct header *h); /* takes NULL */
/* Open it to look only: nothing of libcryptsetup is called, so nothing is locked, written or repaired. Good
 * for what reads: header_reload() excepted. err: as above, without sentences */
MUST_CHECK enum err header_peek(const char *device, struct header **ret);
/* Read the header again. Pointers into h->luks stay valid, their content is new. */
MUST_CHECK enum err header_reload(struct header *h);

/* Number of our token with this key ID, or -1. */
int header_find_token(const struct header *h, const struct guid *key_id);
/* Is keyslot n made as we make the recovery keyslot that a token of ours describes: not number 0, PBKDF2,
 * SHA-256, this count, salt and area cipher? */
bool header_slot_fits(const struct header *h, int slot, uint32_t count);
/* The same, whatever the range of the count: the hand that made it, not what for. */
bool header_slot_made(const struct header *h, int slot, uint32_t count);
/* What the volume key must match: changes with it, and with nothing else. */
MUST_CHECK enum err header_digest(const struct header *h, uint8_t ret[static 32]);
/* Is this token's key in use: live, and its keyslot is still the one it describes? */
bool header_is_live(const struct header *h, const struct luks2_token *t);
/* Is a re-encryption pending of which this keyslot knows only the old or only the new volume key? Then its
 * password alone does not open the volume. */
bool header_is_half_key(const struct header *h, int slot);
/* Number of such tokens. */
unsigned header_count_live(const struct header *h);
/* Whatever its state: is its keyslot, and everything that opening depends on, read now, what it was when the
 * key was proved to open (invariant 8)? */
bool header_is_unchanged(struct header *h, const struct luks2_token *t);
/* In use and unchanged: only such a key may take the place of another. */
bool header_is_proved(struct header *h, const struct luks2_token *t);

/* Can a recovery keyslot and its token be added? Checks pending re-encryption, metadata room for n_bytes
 * more with a reserve behind it, a free keyslot number and room in the keyslot area.
 * ret_slot: the keyslot to use
 * err: BUSY (re-encryption), FULL; each with its own sentence */
MUST_CHECK enum err header_check_room(struct header *h, size_t n_bytes, unsigned *ret_slot);

/* The volume key, by a keyslot that this passphrase opens.
 * slot:     the one to try, or HEADER_ANY_SLOT
 * ret_slot: the one that it opened
 * err:      AUTH (opens none), NOMEM, IO */
MUST_CHECK enum err header_unlock(struct header *h, int slot, const struct secret *passphrase,
                                  struct secret *ret_volume_key, int *ret_slot);
/* Is this the volume's key? err: AUTH */
MUST_CHECK enum err header_check_volume_key(struct header *h, const struct secret *volume_key);
/* Does this passphrase open this keyslot? err: AUTH */
MUST_CHECK enum err header_try(struct header *h, unsigned slot, const struct secret *passphrase);

/* Write a token of ours: a new one (HEADER_TOKEN_NEW), or in place of the token of this number, which must
 * hold key_id. err: CONFLICT, FULL, IO */
MUST_CHECK enum err header_put_token(struct header *h, int token, const struct guid *key_id, const char *json,
                                     int *ret_token);
MUST_CHECK enum err header_remove_token(struct header *h, int token, const struct guid *key_id);
/* Add a keyslot as docs/formats.md#luks2-token says, recovery or management. err: CONFLICT (the number is
 * taken), FULL, IO */
MUST_CHECK enum err header_add_slot(struct header *h, unsigned slot, uint32_t count,
                                    const struct secret *volume_key, const struct secret *password);
/* Wipe and remove the keyslot of a token of ours.
 * keep: the key that stays; checked on the very header that is changed: it must be proved then. NULL for a
 *       keyslot that was never in use
 * err:  CONFLICT (the keyslot is not ours, somebody's token names it alone, or keep is not proved any more),
 * IO */
MUST_CHECK enum err header_destroy_slot(struct header *h, const struct guid *key_id, const struct guid *keep);

/* Does a token of ours name this keyslot, or promise it? */
bool header_is_named(const struct header *h, int slot);
/* Wipe and remove a recovery keyslot that was ours and that no token of ours names.
 * fingerprint: what it must be still; NULL for one that was never proved
 * keep, err:   as header_destroy_slot() */
MUST_CHECK enum err header_destroy_unnamed(struct header *h, int slot, uint32_t count,
                                           const uint8_t *fingerprint, const struct guid *keep);

/* Fingerprint of a keyslot as of now. err: as luks2_fingerprint() */
MUST_CHECK enum err header_fingerprint(struct header *h, unsigned slot, uint8_t ret[static 32]);

/* The UUID of a LUKS2 device, and whether it carries a token of ours. Looks only: nothing of libcryptsetup is
 * called, so a damaged second header of somebody else's volume is not repaired behind his back.
 * False for whatever cannot be read. */
bool header_look(const char *device, struct guid *ret_uuid, bool *ret_token);
