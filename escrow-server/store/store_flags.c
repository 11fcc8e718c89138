/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_db.h"

static enum err flag_row(const struct query *q, struct msg_flag *ret)
{
    TRY(column_blob(q, 0, ret->device, sizeof ret->device));
    column_text(q, 1, ret->kind, sizeof ret->kind);
    TRY(column_blob(q, 2, ret->record, sizeof ret->record));
    ret->sequence = column_u64(q, 3);
    ret->received_us = column_u64(q, 4);
    column_text(q, 5, ret->computer, sizeof ret->computer);
    return ERR_OK;
}

enum err store_flags(struct store *s, const struct msg_flags *after, struct msg_flags_are *ret)
{
    static const enum sql which[] = {
        [FLAGS_ALL] = SQL_FLAGS, [FLAGS_OF_DEVICE] = SQL_FLAGS_DEVICE, [FLAGS_OF_KIND] = SQL_FLAGS_KIND};
    QUERY(q, s, STORE_RECOVERY, which[after->of], "flags");
    query_u64(&q, after->received_us);
    query_blob(&q, after->device, sizeof after->device);
    query_text(&q, after->kind);
    query_blob(&q, after->record, sizeof after->record);
    query_u64(&q, MSG_FLAGS_MAX);
    unsigned n = 0;
    enum err e = ERR_NOT_FOUND;
    while (n < MSG_FLAGS_MAX && (e = query_row(&q)) == ERR_OK)
        TRY(flag_row(&q, &ret->item[n++]));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    ret->n = n;
    return ERR_OK;
}
