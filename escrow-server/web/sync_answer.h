#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The JSON of a sync's answer. source: docs/formats.md#sync */

#include "escrow-server/web/sync_read.h"
#include "escrow-server/web/web.h"

/* m: what the writer told. Returns the caller's object, NULL without memory. */
struct json_object *sync_answer(struct web *w, const struct sync *s, const struct msg_synced *m);
/* To a brief sync that is to be told nothing, with the newest policy, and of whose head, if it has one, the
 * vault knows: text that is kept, for there are but three of them. NULL: no memory. Good until the head
 * changes */
const char *sync_answer_nothing(struct web *w, const struct sync *s);
