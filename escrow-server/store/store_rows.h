#pragma once
/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole tables of a store, row by row: to count, to compare, to copy, to check. Not for the writer. */

#include "escrow-server/store/store_db.h"

/* Called for each row; columns are good until it returns. An error ends the reading. */
typedef enum err row_visit(void *ctx, const struct db_column *column);

/* cost: one page in memory; uses the statements SQL_FREE_1 and SQL_FREE_2 of that half */
MUST_CHECK enum err store_each(struct store *s, const struct sql_table *t, row_visit *visit, void *ctx);

struct table_sum {
    uint64_t rows;
    uint8_t digest[32]; /* sum modulo 2^256 of the SHA-256 of all rows: their order does not matter */
};
MUST_CHECK enum err store_sum(struct store *s, const struct sql_table *t, struct table_sum *ret);

/* Copy a table into another store, in transactions of one page each; rows that are there stay as they are. */
MUST_CHECK enum err store_copy(struct store *from, struct store *to, const struct sql_table *t);
