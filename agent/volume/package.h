#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key packages (formats/key_package.h), where the policy wants them: what makes a destroyed header anew,
 * sealed to the organisation's offline desk keys, escrowed as a record of its own kind. */

#include "agent/state/agent.h"
#include "agent/volume/header.h"
#include "crypto/err.h"

/* Make and queue one, unless the policy wants none or one was made for this volume key and these desk keys.
 * volume_key: proved
 * err: NOT_FOUND (org.json has no desk key), UNSUPPORTED (a volume of several segments, or with integrity
 *      protection), FULL, IO, ...; with a sentence in h->why */
MUST_CHECK enum err package_make(struct agent *a, struct header *h, const struct secret *volume_key);
