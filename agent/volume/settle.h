#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which recovery keys of a volume may go (DESIGN section 6, Rotate). Pure: what is known of the keys comes
 * in.
 *
 * The newest that is proved to open (N) stays, always, and so does the last one that a server has receipted
 * (R): while N has no receipt, R is what a help desk can read back. Every other key goes: a rotation during
 * an outage replaces the N before it. R goes when N is receipted; after a scheduled rotation only once a pack
 * holds N or 30 days have passed, so that an outage pack stays useful; when its password is spent (typed, or
 * shown to a person) as soon as N stands, unless the policy wants a receipt first. A key that is not proved
 * any more may open nothing: it takes nobody's place, and goes when there is an N. With the cache lost the
 * header's word keeps R, too, until a server has receipted N. */

#include "formats/guid.h"
#include "formats/luks2.h"
#include "formats/policy.h"
#include <stdbool.h>
#include <stdint.h>

/* When a key began to count, for its age: when it was made; where that lies in the future, because the clock
 * was wrong then, when it was first seen to be proved with a clock that says less. made, proved: times,
 * proved 0 never. Not later than now, unless both are */
uint64_t settle_since(uint64_t made, uint64_t proved, uint64_t now);

/* No clock says a later one (the last second of 9999): a time that is later is somebody's play. */
#define SETTLE_TIME_MAX UINT64_C(253402300799)

struct settle_key {
    struct guid id;
    uint64_t made;  /* time, as the envelope says: for the order */
    uint64_t since; /* time, settle_since(): for its age */
    uint8_t cause;  /* enum kh_cause */
    bool proved;    /* in use, known to be ours, and its keyslot is what was proved to open */
    bool receipted; /* the cache holds the receipt, whose signature was checked */
    bool told;      /* the volume's header says so, which proves nothing: it keeps a key, and lets none go */
    bool packed, spent;
    bool ours;      /* sealed to this computer's organisation: only such a receipt lets another key go */
    bool preferred; /* made on this computer for this organisation: newer than any that is not */
};

/* Index of N, -1 when no key is proved: then none may go. */
int settle_newest(const struct settle_key *k, unsigned n);
/* Bit i: k[i] may go now. n: at most LUKS2_TOKENS. now: time */
uint32_t settle_may_go(const struct settle_key *k, unsigned n, const struct policy *p, uint64_t now);
