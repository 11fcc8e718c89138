#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside agent/volume/mirror*.c only: one comparison of a header with the cache, and what it found. */

#include "agent/state/agent.h"
#include "agent/volume/header.h"

struct mirror {
    struct agent *a;
    struct header *h;
    struct cache_volume v;
    struct cache_life life;
    struct guid newest; /* good key made last */
    uint64_t newest_time;
    bool known;     /* the cache knew the volume: a key that it does not know was not made here */
    bool made;      /* a key that this keeper just made is in use: what was wanted is done */
    bool restored;  /* a key that was retired is in the header again */
    bool drifted;   /* found just now that a new key is needed */
    bool receipted; /* a server confirmed a key that is in use */
    unsigned n_live, n_good, n_changed, n_unknown, n_elsewhere, n_left;
    unsigned n_half;    /* as they were, but a re-encryption is pending, and they open only a part */
    unsigned n_ignored; /* as they were, with a priority that a boot prompt does not try */
    unsigned n_unsure;  /* keyslots that may be one of a key whose token is gone */
};

/* What enum record_drift says of a key: an event of its own, and a new key is wanted. Once for each key. */
MUST_CHECK enum err mirror_drift(struct mirror *m, uint8_t what, const struct guid *key_id);
/* An old header came back: whoever kept it may have kept it with the password. The caller puts k. */
MUST_CHECK enum err mirror_returned(struct mirror *m, struct cache_key *k);
/* Every key of the cache that the header does not have in use: what became of it. After the keys in use. */
MUST_CHECK enum err mirror_gone(struct mirror *m);
/* A removed password may have been copied with the header. Recorded once. */
MUST_CHECK enum err mirror_expose(struct mirror *m, const struct guid *key_id);
/* The cache went back behind what the header says. A new incarnation, and an event. */
MUST_CHECK enum err mirror_went_back(struct mirror *m, const struct guid *key_id);
/* The header went back behind what the cache says; or nothing of the kind. Then remember how it is now. */
MUST_CHECK enum err mirror_life(struct mirror *m);
/* State and note of the volume, from all that was found. */
void mirror_judge(struct mirror *m);
