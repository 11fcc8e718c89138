#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rotate: a new recovery password as protect makes it, then of the others of ours those go that may
 * (agent/volume/settle.h). They go only when the new one was opened and read back from the header (invariant
 * 3). */

#include "agent/volume/protect.h"
#include "crypto/err.h"

/* Also what protects a volume for the first time. Makes the management keyslot where there is none that
 * works; without one the volume is protected all the same, and a sentence says so. cause: enum kh_cause err:
 * AUTH (unlock does not open the volume), as protect_volume(); the new key stands even when an old one could
 * not be removed (then the keeper's next start removes it). The sentence is in h->why */
MUST_CHECK enum err rotate_volume(struct agent *a, struct header *h, const struct unlock *unlock,
                                  uint8_t cause, struct protect_result *ret);

/* Remember that a volume is to be rotated, and why; a schedule gives way to every other cause. Done by
 * rotate_pending() where a management key opens the volume; else status says needs-unlock-secret.
 * reason: for a person. err: NOT_FOUND (no such volume) */
MUST_CHECK enum err rotate_want(struct agent *a, const struct guid *volume, uint8_t cause,
                                const char *reason);
/* The password of this key was used, or shown to a person: enum kh_cause USED or DISCLOSED. A rotation is
 * wanted where no later key is in use; where one is, this key may go. err: NOT_FOUND (no such key, or no such
 * volume) */
MUST_CHECK enum err rotate_spend(struct agent *a, const struct guid *key_id, uint8_t cause,
                                 const char *reason);

/* Rotate every volume that is to be and that its management key opens. Failures become the volume's note.
 * each: called for each that was rotated; may be NULL */
void rotate_pending(struct agent *a, void (*each)(struct agent *a, const struct protect_result *r));
