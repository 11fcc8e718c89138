#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside agent/volume/header*.c only: what they share above the disk's edge. */

#include "agent/volume/header.h"

struct volume_io header_io(struct header *h);

/* A change of the header: what it relies on, and what it makes. */
struct change {
    int token;
    const struct guid *key_id, *keep;
    const char *json;
    unsigned slot;
    uint32_t count;
    const uint8_t *fingerprint; /* of a keyslot that no token names; NULL: it was never proved */
    const struct secret *volume_key, *password;
    bool again; /* it was tried before, and may have been written although it failed: at the header's second
                   copy, say */
    int ret_token;
    /* Is it written? Then it was our own attempt that changed the header. */
    bool (*is_made)(struct header *h, const struct change *c);
};

/* One attempt, on a header that was just read: the guard, then the operation. ret_result: the operation's;
 * a failure is tried again while somebody else changes the header */
typedef enum err header_attempt(struct header *h, struct change *c, enum err *ret_result);
/* what: half a sentence for the failure ("writing the token") */
MUST_CHECK enum err header_run(struct header *h, const char *what, header_attempt *once, struct change *c);
enum err header_someone_else(struct header *h, const char *what);

/* Does this token have just these members? */
bool header_token_says(const struct header *h, int token, const char *json);
bool header_slot_gone(struct header *h, const struct change *c);

/* A token that is not ours and names this keyslot and no other: somebody else relies on it; -1 none.
 * own: number of the token of ours that names it, where it is not a recovery token; else -1 */
int header_foreign_claim(const struct header *h, int slot, int own);
enum err header_claimed(struct header *h, int slot, int token);

/* err: BUSY (the lock is held too long; the sentence names who holds it) */
MUST_CHECK enum err header_wait_lock(struct header *h);
