#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a run of keyholt-load has seen, and the line that it prints. */

#include "tools/load_conn.h"

struct load_tally {
    unsigned begun, ok, resumed, receipts, cap;
    unsigned failed[LOAD_FAILURES];
    double *ms, started; /* one for each exchange that went well */
};

MUST_CHECK enum err load_tally_begin(struct load_tally *t, unsigned requests);
void load_tally_add(struct load_tally *t, enum load_failure f, double ms);
/* One JSON object on standard output. */
void load_tally_print(struct load_tally *t, const struct load_plan *p);
