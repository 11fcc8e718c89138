/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_db.h"
#include <string.h>

#define MICROSECONDS 1000000

static enum err take(const struct query *q, struct store_uncertain *ret)
{
    char key[GUID_TEXT];
    TRY(column_blob(q, 0, ret->device, sizeof ret->device));
    column_text(q, 1, key, sizeof key);
    TRY(guid_decode(key, strlen(key), &ret->key_id));
    uint64_t order = column_u64(q, 2);
    if (order >= STORE_ORDERS)
        return ERR_FORMAT;
    ret->order = (enum store_order)order;
    ret->n = column_u64(q, 3);
    return ERR_OK;
}

enum err store_uncertain(struct store *s, const struct store_window *w, const uint8_t after[static 32],
                         const uint8_t last[static 32], unsigned max, struct store_uncertain *ret,
                         unsigned *ret_n)
{
    QUERY(q, s, STORE_RECOVERY, SQL_UNCERTAIN, "uncertain");
    query_blob(&q, after, 32);
    query_blob(&q, last, 32);
    query_u64(&q, w->from * MICROSECONDS);
    query_u64(&q, w->until * MICROSECONDS);
    query_u64(&q, w->until);
    query_u64(&q, STORE_EACH);
    query_u64(&q, max);
    unsigned n = 0;
    enum err e = ERR_NOT_FOUND;
    while (n < max && (e = query_row(&q)) == ERR_OK)
        TRY(take(&q, &ret[n++]));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_n = n;
    return ERR_OK;
}
