#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The keeper's first act, and the only one that needs privileges: take the used recovery passwords from the
 * kernel's keyring and delete what the hand-off left in the firmware; then drop all of that for good. */

#include "agent/state/agent.h"
#include "crypto/err.h"
#include "crypto/secret.h"
#include "formats/guid.h"

#define USED_PASSWORDS 8

/* A recovery password that opened a volume at this boot, as its 55 characters. */
struct used_password {
    struct guid volume;
    struct secret text;
};

struct used_passwords {
    unsigned n;
    struct used_password item[USED_PASSWORDS];
};

void used_passwords_wipe(struct used_passwords *u);

/* Read and unlink "keyholt:<volume UUID>" of each volume that the cache knows. No key, and no keyring in the
 * kernel, is no error: u->n is 0 then. */
MUST_CHECK enum err privileged_take_passwords(struct agent *a, struct used_passwords *ret);
/* Delete a stale share. err: DENIED, IO (it is still there) */
MUST_CHECK enum err privileged_delete_share(struct agent *a);
/* Drop every capability but the one to lock memory. */
MUST_CHECK enum err privileged_drop(void);
