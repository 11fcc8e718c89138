#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The organisation's policy: /etc/keyholt/org/policy.json and its signature by the policy key that org.json
 * certifies. Checked each time it is read. None is needed: then the defaults hold. */

#include "agent/problem.h"
#include "agent/state/agent.h"
#include "crypto/err.h"

/* Read what is stored into a->policy. One that does not verify (any more) does not hold: the defaults do, and
 * a sentence says so. Without an organisation there is no policy. */
void policy_store_load(struct agent *a);

/* Verify and keep one, and let it hold. The same one again is no error.
 * err: AUTH (signature), CONFLICT (older than the one in use, the same version with other bytes, or another
 *      organisation's), VERSION, UNSUPPORTED, FORMAT, RANGE, NOT_FOUND (no organisation), FULL, IO; the one
 * in use stays, and why has a sentence */
MUST_CHECK enum err policy_store_install(struct agent *a, const uint8_t *json, size_t len, const uint8_t *sig,
                                         size_t sig_len, struct problem *why);
