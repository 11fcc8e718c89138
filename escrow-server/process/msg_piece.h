#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pieces that messages are made of. For msg_*.c only. */

#include "escrow-server/process/msg.h"

void msg_put_text(struct writer *w, const char *text);
/* cap: of ret, with its zero byte; a longer text is RANGE, one with a zero inside FORMAT */
void msg_get_text(struct reader *r, char *ret, size_t cap);
void msg_put_blob(struct writer *w, const struct msg_blob *b);
void msg_get_blob(struct reader *r, struct msg_blob *ret);
bool msg_get_bool(struct reader *r);
/* A number of elements; more than max is RANGE. */
unsigned msg_get_count(struct reader *r, unsigned max);
void msg_get_some_losses(struct reader *r, struct msg_losses *ret);
void msg_get_found_part(struct reader *r, struct msg_found *ret);
