#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A checkpoint as it stands in an audit chain: a signed head, on the entry before it. Hosted. */

#include "formats/audit_head.h"
#include "formats/host/audit_chain.h"

/* What it says; who signed it is not judged.
 * err: FORMAT (its note is no signed head), AUTH (the head is not of the entry before) */
MUST_CHECK enum err audit_checkpoint_read(const struct audit_entry *e, struct audit_head_word *ret);
/* Its signature. err: AUTH (not by this key), FORMAT */
MUST_CHECK enum err audit_checkpoint_verify(const struct audit_entry *e, const struct cr_p256_pub *pub);
