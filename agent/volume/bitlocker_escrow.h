#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A BitLocker volume's own recovery password, which a person brings: proved to open the volume, sealed,
 * escrowed under the protector's own key ID. Nothing is written to the volume. */

#include "agent/state/agent.h"
#include "agent/volume/protect.h"
#include "crypto/err.h"
#include "crypto/secret.h"

/* Is this device, or image file, a BitLocker volume? False for what cannot be read. */
bool bitlocker_escrow_is(const char *device);

/* password: as typed, 48 digits with or without dashes
 * ret:     slot is -1; queued is false when the very password was escrowed before
 * why:     on failure; nothing was changed then
 * err:     FORMAT (not 48 digits; names the group), AUTH (opens no protector; names their key IDs), NOT_FOUND
 * (no organisation, or the volume has no recovery password), UNSUPPORTED, FULL, IO cost:    0.1 s for each
 * recovery protector */
MUST_CHECK enum err bitlocker_escrow(struct agent *a, const char *device, const struct secret *password,
                                     struct problem *why, struct protect_result *ret);
