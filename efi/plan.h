#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What to try on a volume, in which order, and when to stop: its header may ask for hours of work, by
 * accident or by malice. Pure: tested hosted. */

#include "formats/luks2.h"

/* Hash iterations for one attempt, over all keyslots and their digests: some fifteen seconds of a laptop. */
#define PLAN_BUDGET 30000000u
/* A pass of Argon2 over one KiB costs about as much as so many iterations of PBKDF2. */
#define PLAN_ARGON2_KIB 2

/* Tokens whose keyslot is there, so that their password may open it: live, pending, retired; the oldest
 * first, because it is likeliest to have reached a server. Returns how many. */
unsigned plan_keys(const struct luks2 *l, unsigned ret_key[static LUKS2_TOKENS]);
/* Are all of them retired, so that the volume interests nobody? */
bool plan_is_retired(const struct luks2 *l, const unsigned *key, unsigned n_keys);

struct plan {
    const struct luks2 *luks; /* borrowed, as is key */
    const unsigned *key;
    unsigned n_keys;
    uint64_t left;     /* iterations */
    uint32_t done;     /* bit i: keyslot i was given out */
    uint32_t too_slow; /* bit i: keyslot i asks for more than was left */
};
void plan_init(struct plan *p, const struct luks2 *l, const unsigned *key, unsigned n_keys);

/* Give out the next keyslot and take its cost off: recovery keyslots that a token names first, then every
 * other PBKDF2 keyslot, then those of Argon2, which want memory. Each once. False when there is none left.
 * ret_recovery: it is one of the first kind */
bool plan_next(struct plan *p, unsigned *ret_slot, bool *ret_recovery);
