#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Seal a recovery password to the organisation: the same for a keyslot that we make and for a BitLocker
 * volume's own password. */

#include "agent/state/agent.h"
#include "crypto/err.h"
#include "formats/envelope.h"
#include "formats/recovery_password.h"

/* Read org.json again (a damaged or exchanged one must not be sealed to) and put it into a->org.
 * why: on failure, with "nothing was changed". err: as org_store_load(); RANGE (its escrow keys), NOMEM */
MUST_CHECK enum err seal_load_org(struct agent *a, struct problem *why);

struct sealed {
    uint8_t envelope[ENVELOPE_MAX];
    size_t len;
    uint8_t commitment[32];
};

/* To every escrow key of a->org.
 * password: 16 bytes. time: of the envelope. err: FORMAT, RANGE, IO, ... */
MUST_CHECK enum err seal_password(const struct agent *a, const struct guid *key_id, const struct guid *volume,
                                  uint64_t time, const uint8_t password[static RP_BYTES], struct sealed *ret);

/* Does an envelope name an escrow key of our organisation? True while there is no organisation to ask. */
bool seal_is_to_us(const struct agent *a, const struct envelope *e);
