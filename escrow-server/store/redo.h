#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a transaction of SQLite did so far, to do it once more. A savepoint for each request would undo it
 * alone, but then SQLite keeps a copy of every page before the request changes it, a fifth of the time for a
 * record; a request that has to be undone is rare. So all is rolled back then, and what came before that
 * request is done again. */

#include "escrow-server/store/store_db.h"

#define REDO_MAX (1024 * 1024) /* bytes kept; a batch of escrow records has half of that */

struct redo {
    uint8_t *bytes; /* heap */
    size_t len, cap;
    bool full; /* something is not in it */
};

/* Keep a statement that was carried out. Without room, or memory, it is full. */
void redo_add(struct redo *r, const struct query *q);
/* Carry out the first `until` bytes again. err: of run */
MUST_CHECK enum err redo_run(const struct redo *r, size_t until, struct db *d,
                             enum err (*run)(struct query *q, uint64_t *ret_changed));
/* For the next transaction; the memory stays. */
void redo_clear(struct redo *r);
void redo_free(struct redo *r);
