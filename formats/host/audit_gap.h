#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A gap in an audit log, as the notes of its entries say it: the alarm that proves it, a person's word that
 * acknowledges it, and what is to become of the keys that may have been disclosed in it. Layout:
 * docs/formats.md. */

#include "formats/host/audit_chain.h"

struct audit_gap {
    uint64_t lost;     /* the log had so many entries, */
    uint64_t have;     /* of which at most so many are there: the rest is the gap */
    uint64_t from, to; /* time of the last entry before the gap; of the signed head that proves it */
    uint64_t until; /* time of the first entry behind the gap, or when the log was opened with it: the end */
};

enum audit_gap_word { AUDIT_GAP_ALARM = 1, AUDIT_GAP_ACKNOWLEDGED, AUDIT_GAP_STOP, AUDIT_GAP_ROTATE };

struct audit_gap_note {
    enum audit_gap_word word;
    uint64_t n;                         /* entry of the alarm that is spoken of */
    struct audit_gap gap;               /* of an alarm or an acknowledgement */
    uint64_t rotate_from, rotate_until; /* of AUDIT_GAP_ROTATE: whose keys rotate */
};

/* The note of an alarm (n is its own number) or of a word on it; the caller adds to it what else it has to
 * say, behind a blank. ret: AUDIT_TEXT + 1 bytes */
void audit_gap_encode(const struct audit_gap_note *g, char ret[static AUDIT_TEXT + 1]);
/* err: NOT_FOUND (the entry speaks of no gap), FORMAT */
MUST_CHECK enum err audit_gap_decode(const struct audit_entry *e, struct audit_gap_note *ret);
/* Is it all within the other one? Two heads may prove one gap, the later one more of it. */
bool audit_gap_covers(const struct audit_gap *all, const struct audit_gap *g);
