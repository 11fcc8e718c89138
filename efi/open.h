#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening a volume with a recovery password. */

#include "efi/volumes.h"
#include "formats/recovery_password.h"

/* Where opening stands, for the screen, and what came out beside "yes" and "no". */
struct open_progress {
    bool (*step)(void *ctx, unsigned number,
                 bool recovery); /* a keyslot or protector is tried; false stops */
    void *ctx;                   /* borrowed */
    uint32_t too_slow;           /* afterwards, bit i: keyslot i was left out, it would take too long */
    uint32_t no_memory;          /* bit i: keyslot i wants more memory in one piece than there is */
    uint32_t memory_kib;         /* the least that one of them wants */
    const char *why; /* half a sentence: why it cannot be read though the password is right; or NULL */
};

/* Try a recovery password: LUKS2 on its own keyslots, then on the others, as plan.h orders and bounds it,
 * BitLocker on its recovery protectors. The volume key is checked against the digest. keep:       make the
 * content readable ret_key_id: the key that opened; zeros when no token names the keyslot ret_plain:  with
 * keep, the content; NULL when it cannot be read (progress->why) err: AUTH (opens none of them; see
 * no_memory), UNSUPPORTED (nothing that can be tried here), BUSY (stopped), NOMEM (also: all that could be
 * tried wants more memory), FORMAT (progress->why), IO cost: beside Argon2's own memory at most 1.5 MiB */
MUST_CHECK enum err open_volume(struct volume *v, const uint8_t password[static RP_BYTES], bool keep,
                                struct open_progress *progress, struct guid *ret_key_id,
                                struct plain **ret_plain);

/* A BitLocker volume with the bytes of a startup key file; without one (bek NULL) a volume whose protection
 * is suspended. err: as above */
MUST_CHECK enum err open_with_file(struct volume *v, const void *bek, size_t len,
                                   struct open_progress *progress, struct guid *ret_key_id,
                                   struct plain **ret_plain);
