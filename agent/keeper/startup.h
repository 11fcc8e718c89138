#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the keeper does before it listens: resume, hand-off, boot event, rotation, ESP, then drop privileges.
 */

#include "agent/state/agent.h"
#include "crypto/err.h"

/* A volume that cannot be brought in order does not stop the keeper; each failure is one line on stderr.
 * err: what makes the keeper unable to work at all */
MUST_CHECK enum err startup(struct agent *a);
