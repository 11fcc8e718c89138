#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Start-up resume: bring a volume's header into a clean state after whatever interrupted protect or rotate.
 * Judges by the header alone, so it works with the cache lost, too. */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"

/* pending token: its keyslot, if there is one of that number, hash and count, was never proved to open and
 * is destroyed; then the token goes (the password is gone with the process that drew it).
 * retired token: keyslot destroyed, token removed, but only while another key stands as it was proved; in use
 * again when none does.
 * a key that the cache knows to be receipted: its token says so, too.
 * several live keys: what may go by the rules of agent/volume/settle.h does. A key that a cache which knows
 * this volume does not know decides nothing, and is left to a person. live token that names no keyslot any
 * more: somebody removed it; the token goes. A keyslot is destroyed only when it is made like ours, the
 * envelope is this key's and volume's, and it is what was proved; or, half wiped or never proved, this device
 * or its cache says that we made it. Anything else, and everything that is not ours, stays as it is. A volume
 * in re-encryption is left alone. */
MUST_CHECK enum err recover_volume(struct agent *a, struct header *h);
