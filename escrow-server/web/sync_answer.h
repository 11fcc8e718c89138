#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON of a sync's answer. source: docs/formats.md#sync */

#include "escrow-server/web/sync_read.h"
#include "escrow-server/web/web.h"

/* m: what the writer told. Returns the caller's object, NULL without memory. */
struct json_object *sync_answer(struct web *w, const struct sync *s, const struct msg_synced *m);
