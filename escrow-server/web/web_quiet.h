#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Heartbeats that are no question to the writer (quiet.h). */

#include "escrow-server/web/sync_read.h"
#include "escrow-server/web/web.h"

/* Need this device not be told anything? s->m.device is set, and not on the revocation list. Then the writer
 * hears that it was here, within a second.
 * courier: the key of its certificate; renew: that is due for renewal */
bool web_quiet(struct web *w, const uint8_t courier[static 32], bool renew, const struct sync *s);
