/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_db.h"
#include <stdio.h>
#include <string.h>

static enum err take_candidate(struct store *s, struct query *q, struct msg_found *f)
{
    struct db_column sealed;
    q->db->ops->column(q, 0, &sealed);
    if (sealed.p == NULL || sealed.len > ENVELOPE_MAX || f->n == MSG_CANDIDATES)
        return ERR_FORMAT;
    struct msg_candidate *c = &f->item[f->n];
    memcpy(s->found[f->n], sealed.p, sealed.len);
    c->envelope = (struct msg_blob){s->found[f->n], sealed.len};
    column_text(q, 1, c->computer, sizeof c->computer);
    column_text(q, 2, c->label, sizeof c->label);
    c->own = column_u64(q, 3) != 0;
    c->received = column_u64(q, 4) / 1000000;
    f->n++;
    f->more = column_u64(q, 5) > f->n; /* of all that fit, also those that are not listed */
    return ERR_OK;
}

enum err store_find(struct store *s, const struct msg_find *f, struct msg_found *ret)
{
    char like[MSG_NAME + 2];
    snprintf(like, sizeof like, "%s%%", f->device);
    QUERY(q, s, STORE_RECOVERY, SQL_FIND, "find");
    query_prefix(&q, f->key);
    query_text(&q, like);
    query_u64(&q, MSG_CANDIDATES);
    ret->n = 0;
    ret->more = false;
    enum err e;
    while ((e = query_row(&q)) == ERR_OK)
        TRY(take_candidate(s, &q, ret));
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err take_boot(struct query *q, struct msg_boot *b)
{
    char key[GUID_TEXT];
    b->time = column_u64(q, 0);
    b->received = column_u64(q, 1) / 1000000;
    TRY(column_blob(q, 2, b->device, sizeof b->device));
    column_text(q, 3, key, sizeof key);
    TRY(guid_decode(key, strlen(key), &b->key_id));
    TRY(column_blob(q, 4, b->volume.bytes, 16));
    b->result = (uint8_t)column_u64(q, 5);
    b->reason = (uint8_t)column_u64(q, 6);
    return ERR_OK;
}

enum err store_boots(struct store *s, const struct msg_find *f, struct msg_boots *ret)
{
    QUERY(q, s, STORE_COMPLIANCE, SQL_BOOTS, "boots");
    query_prefix(&q, f->key);
    query_u64(&q, MSG_BOOTS_MAX);
    ret->n = 0;
    enum err e;
    while (ret->n < MSG_BOOTS_MAX && (e = query_row(&q)) == ERR_OK)
        TRY(take_boot(&q, &ret->item[ret->n++]));
    return ret->n == MSG_BOOTS_MAX || e == ERR_NOT_FOUND ? ERR_OK : e;
}
