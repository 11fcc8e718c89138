#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Try a secret on several keyslots or key protectors side by side, a thread per core. */

#include "crypto/err.h"
#include "crypto/secret.h"
#include <stdbool.h>

#define TRY_MAX     512 /* as many as a BitLocker volume can have */
#define TRY_THREADS 16

struct volume_candidate {
    unsigned protector; /* for attempt */
    /* Rising. Candidates of one group are tried side by side; the next group only when none of them opens.
     * What is cheap and likely comes first; what needs much memory gets a group of its own. */
    unsigned group;
    enum err err; /* result of its attempt; BUSY: it was not tried */
};

struct volume_try {
    struct volume_candidate *candidate;
    unsigned n;
    /* Called by several threads. err: AUTH (does not open) and others; only OK ends the search */
    enum err (*attempt)(void *ctx, unsigned protector, struct secret *ret);
    void *ctx;
};

/* Try them. When several of a group open, the first in order is taken, whichever was faster.
 * candidate[].err is set
 * ret:       what the attempt gave
 * ret_which: index of the candidate that opened
 * err:       AUTH (none opens; candidate[] says why), NOT_FOUND (n is 0) */
MUST_CHECK enum err volume_try(struct volume_try *t, struct secret *ret, unsigned *ret_which);
