/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_db.h"

static enum err step(struct store *s, enum sql which, uint64_t cutoff_us, uint64_t *ret_changed)
{
    QUERY(q, s, STORE_COMPLIANCE, which, "retain");
    query_u64(&q, cutoff_us);
    return query_changed(&q, ret_changed);
}

enum err store_retain(struct store *s, uint64_t cutoff_us, uint64_t now, bool *ret_more)
{
    uint64_t any, records, events;
    QUERY(q, s, STORE_COMPLIANCE, SQL_RETAINED, "retained");
    query_u64(&q, cutoff_us);
    query_u64(&q, now);
    TRY(query_changed(&q, &any)); /* in PostgreSQL, this is all */
    TRY(step(s, SQL_FORGET, cutoff_us, &any));
    TRY(step(s, SQL_RETAIN, cutoff_us, &records));
    TRY(step(s, SQL_RETAIN_EVENTS, cutoff_us, &events));
    *ret_more = records == SQL_RETAIN_STEP || events == SQL_RETAIN_STEP;
    return ERR_OK;
}

enum err store_retained(struct store *s, uint64_t cutoff_us, uint64_t *ret_records, uint64_t *ret_events)
{
    QUERY(q, s, STORE_COMPLIANCE, SQL_RETENTION, "retention");
    query_u64(&q, cutoff_us);
    TRY(query_row(&q));
    *ret_records = column_u64(&q, 0);
    *ret_events = column_u64(&q, 1);
    return ERR_OK;
}
