#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What opens a volume for a change of its keyslots. */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"
#include "crypto/secret.h"

enum unlock_kind {
    UNLOCK_NONE = 0,
    UNLOCK_PASSPHRASE = 1, /* a passphrase, a key file's content, a recovery password */
    UNLOCK_VOLUME_KEY = 2, /* the volume key, which the command had from a token (systemd-tpm2) */
    UNLOCK_MANAGEMENT = 3  /* the key of the management keyslot; no secret is given */
};

struct unlock {
    uint8_t kind; /* enum unlock_kind */
    struct secret secret;
};

void unlock_wipe(struct unlock *u);
#define UNLOCK(name) __attribute__((cleanup(unlock_wipe))) struct unlock name = {.kind = UNLOCK_NONE}

/* The volume key. Of recovery passwords, the keyslots of ours are tried first: no person's Argon2 keyslot is
 * in the way. ret_slot: the keyslot that was opened, or HEADER_ANY_SLOT where none was err:      AUTH (opens
 * none), NOT_FOUND (no management key here), NOMEM, IO; with a sentence in h->why */
MUST_CHECK enum err unlock_volume(struct agent *a, struct header *h, const struct unlock *u,
                                  struct secret *ret_volume_key, int *ret_slot);
