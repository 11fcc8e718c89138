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

static enum err take_order(const struct query *q, struct store_loss_order *ret)
{
    char key[GUID_TEXT];
    TRY(column_blob(q, 0, ret->device, sizeof ret->device));
    column_text(q, 1, key, sizeof key);
    ret->gone = column_u64(q, 2) != 0;
    return guid_decode(key, strlen(key), &ret->key_id);
}

enum err store_loss_orders(struct store *s, uint64_t loss, unsigned max, struct store_loss_order *ret,
                           unsigned *ret_n)
{
    QUERY(q, s, STORE_RECOVERY, SQL_LOSS_ORDERS, "loss-orders");
    query_u64(&q, loss);
    query_u64(&q, max);
    unsigned n = 0;
    enum err e = ERR_NOT_FOUND;
    while (n < max && (e = query_row(&q)) == ERR_OK)
        TRY(take_order(&q, &ret[n++]));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_n = n;
    return ERR_OK;
}

enum err store_loss_count(struct store *s, uint64_t after, uint64_t before, uint64_t *ret)
{
    QUERY(q, s, STORE_RECOVERY, SQL_LOSS_COUNT, "loss-count");
    query_u64(&q, after);
    query_u64(&q, before);
    TRY(query_row(&q));
    *ret = column_u64(&q, 0);
    return ERR_OK;
}

enum err store_take_back(struct store *s, const struct store_loss_order *o)
{
    store_concerns(s, o->device);
    static const enum sql which[] = {SQL_COMMAND_FORGET, SQL_COMMAND_LET_BE};
    for (size_t i = 0; i < sizeof which / sizeof which[0]; i++) {
        QUERY(q, s, STORE_RECOVERY, which[i], "take-back");
        query_blob(&q, o->device, sizeof o->device);
        query_guid(&q, &o->key_id);
        TRY(query_run(&q));
    }
    return ERR_OK;
}
