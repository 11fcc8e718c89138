/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_check.h"
#include "crypto/hash.h"
#include "crypto/p256.h"
#include "formats/base.h"
#include "formats/command.h"
#include "formats/receipt.h"
#include <string.h>

static enum err wrong(struct store_check *c, const char *what, const struct db_column *id)
{
    char hex[BASE16_LEN(32) + 1] = "";
    if (id->len <= 32)
        base16_encode(id->p, id->len, hex);
    c->say(what, hex);
    c->n_wrong++;
    return ERR_OK;
}

static bool same(const struct db_column *a, const void *p, size_t len)
{
    return a->p != NULL && a->len == len && memcmp(a->p, p, len) == 0;
}

static bool same_guid(const struct db_column *text, const struct guid *g)
{
    char want[GUID_TEXT];
    guid_encode(g, want);
    return same(text, want, strlen(want));
}

/* Is there a row with this key? The statement is the third free one of its half. more: what else it wants,
 * bytes or a number */
static enum err has(struct store_check *c, enum store_half half, const void *id, const void *device,
                    const struct db_column *more, bool *ret)
{
    QUERY(q, c->store, half, SQL_FREE_3, "check");
    query_blob(&q, id, 32);
    query_blob(&q, device, 32);
    if (more->p != NULL)
        query_blob(&q, more->p, more->len);
    else
        query_u64(&q, more->number);
    return query_any(&q, ret);
}

/* Records. Columns: enum sql_table_name. */

static enum err find_device(struct store_check *c, const uint8_t id[static 32])
{
    if (c->n_devices > 0 && memcmp(c->device.id, id, 32) == 0)
        return ERR_OK;
    return store_sql.device_get(c->store, id, &c->device);
}

static bool header_fits(const struct db_column *col, const struct record *r)
{
    return same(&col[2], r->device, 32) && same(&col[3], r->incarnation, 16) &&
           col[4].number == r->sequence && same(&col[5], r->previous, 32) && col[6].number == r->kind &&
           col[7].number == r->time;
}

static enum err check_signature(struct store_check *c, const struct db_column *col, const struct record *r)
{
    struct cr_p256_pub pub;
    enum err e = find_device(c, r->device);
    if (e == ERR_NOT_FOUND)
        return wrong(c, "a record of a device that is not enrolled", &col[0]);
    TRY(e);
    if (cr_p256_from_spki(c->device.spki, sizeof c->device.spki, &pub) != ERR_OK ||
        record_verify(col[8].p, col[8].len, &pub) != ERR_OK)
        return wrong(c, "a record whose signature does not verify", &col[0]);
    return ERR_OK;
}

/* What was made from the record must be there. */
static enum err check_index(struct store_check *c, const struct db_column *col, const struct record *r)
{
    uint8_t hash[32];
    struct envelope e;
    bool there = true;
    if (r->kind == RECORD_ESCROW) {
        if (envelope_decode(r->envelope, r->envelope_len, &e) != ERR_OK)
            return wrong(c, "a record whose envelope is none", &col[0]);
        TRY(cr_sha256(r->envelope, r->envelope_len, hash));
        const struct db_column volume = {.p = e.volume.bytes, .len = 16};
        TRY(has(c, STORE_RECOVERY, hash, r->device, &volume, &there));
    }
    if (r->kind == RECORD_EVENT) {
        const struct db_column time = {.number = r->event_time};
        TRY(has(c, STORE_COMPLIANCE, col[0].p, r->device, &time, &there));
    }
    return there ? ERR_OK : wrong(c, "a record that is not indexed", &col[0]);
}

static enum err check_record(void *ctx, const struct db_column *col)
{
    struct store_check *c = ctx;
    struct record r;
    uint8_t name[32];
    c->n_records++;
    TRY(record_name(col[8].p, col[8].len, name));
    if (!same(&col[0], name, sizeof name))
        return wrong(c, "a record whose bytes changed", &col[0]);
    if (record_decode(col[8].p, col[8].len, &r) != ERR_OK)
        return wrong(c, "a record that is none", &col[0]);
    if (!header_fits(col, &r))
        return wrong(c, "a record that is filed wrongly", &col[0]);
    TRY(check_signature(c, col, &r));
    return check_index(c, col, &r);
}

static enum err check_envelope(void *ctx, const struct db_column *col)
{
    struct store_check *c = ctx;
    struct envelope e;
    uint8_t hash[32];
    bool there;
    c->n_envelopes++;
    TRY(cr_sha256(col[12].p, col[12].len, hash));
    if (!same(&col[0], hash, sizeof hash))
        return wrong(c, "an envelope whose bytes changed", &col[0]);
    if (envelope_decode(col[12].p, col[12].len, &e) != ERR_OK)
        return wrong(c, "an envelope that is none", &col[0]);
    if (!same_guid(&col[3], &e.key_id) || !same(&col[4], e.volume.bytes, 16) ||
        !same(&col[5], e.device, 32) || col[6].number != same(&col[1], e.device, 32) ||
        !same(&col[7], e.commitment, 32))
        return wrong(c, "an envelope that is filed wrongly", &col[0]);
    if (col[1].len != 32 || col[2].len != 32)
        return wrong(c, "an envelope without its record", &col[0]);
    TRY(has(c, STORE_RECOVERY, col[2].p, col[1].p, &col[11], &there));
    return there ? ERR_OK : wrong(c, "an envelope without its record", &col[0]);
}

static enum err check_device(void *ctx, const struct db_column *col)
{
    struct store_check *c = ctx;
    struct cr_p256_pub pub;
    uint8_t id[32];
    c->n_devices++;
    if (cr_p256_from_spki(col[1].p, col[1].len, &pub) != ERR_OK || cr_p256_id(&pub, id) != ERR_OK ||
        !same(&col[0], id, sizeof id))
        return wrong(c, "a device whose key is another's", &col[0]);
    return ERR_OK;
}

static enum err check_order(void *ctx, const struct db_column *col)
{
    struct store_check *c = ctx;
    struct cr_p256_pub pub;
    struct command order;
    c->n_orders++;
    for (unsigned i = 0; i < c->org->n_receipt; i++)
        if (org_receipt_key(c->org, i, &pub) == ERR_OK &&
            command_decode(col[4].p, col[4].len, &pub, &order) == ERR_OK && same(&col[0], order.device, 32) &&
            same_guid(&col[1], &order.key_id))
            return ERR_OK;
    return wrong(c, "an order that no receipt key of this organisation signed", &col[0]);
}

static enum err each(struct store_check *c, enum sql_table_name table, const char *ask, row_visit *visit)
{
    const struct sql_table *t = &sql_tables[table];
    struct db *d = c->store->db[t->half];
    if (ask != NULL)
        TRY(d->ops->prepare(d, SQL_FREE_3, ask));
    return store_each(c->store, t, visit, c);
}

enum err store_check(struct store_check *c)
{
    TRY(each(c, TABLE_DEVICES, NULL, check_device));
    TRY(each(c, TABLE_RECORDS, sql_has_envelope, check_record));
    TRY(each(c, TABLE_COMPLIANCE_RECORDS, sql_has_event, check_record));
    TRY(each(c, TABLE_ENVELOPES, sql_has_record, check_envelope));
    return each(c, TABLE_COMMANDS, NULL, check_order);
}

/* Receipts. */

/* err: AUTH (no receipt key of this organisation signed it), FORMAT, VERSION, TRUNCATED */
static enum err decode_receipt(const struct org *org, const uint8_t *p, size_t len, struct receipt *ret)
{
    struct cr_p256_pub pub;
    enum err e = ERR_AUTH;
    for (unsigned i = 0; i < org->n_receipt && e == ERR_AUTH; i++)
        if (org_receipt_key(org, i, &pub) == ERR_OK)
            e = receipt_decode(p, len, &pub, ret);
    TRY(e);
    return guid_equal(&ret->org, &org->id) ? ERR_OK : ERR_AUTH;
}

/* Column: cutoff_us, ... */
static enum err newest_cutoff(void *ctx, const struct db_column *col)
{
    uint64_t *newest = ctx;
    if (col[0].number > *newest)
        *newest = col[0].number;
    return ERR_OK;
}

enum err store_check_receipts(struct store_check *c)
{
    TRY(store_each(c->store, &sql_tables[TABLE_RETENTIONS], newest_cutoff, &c->cutoff_us));
    for (unsigned half = 0; half < STORE_HALVES; half++) {
        struct db *d = c->store->db[half];
        TRY(d->ops->prepare(d, SQL_FREE_3, sql_has_record));
    }
    return ERR_OK;
}

static bool is_kept(const struct store_kept *kept, const uint8_t *name)
{
    for (unsigned i = 0; i < kept->n; i++)
        if (memcmp(kept->name[i], name, 32) == 0)
            return true;
    return false;
}

static enum err check_receipted(struct store_check *c, const struct receipt *r, const uint8_t *name,
                                const struct store_kept *kept)
{
    const struct db_column id = {.p = name, .len = 32}, any_time = {.number = 0};
    bool there = false;
    for (unsigned half = 0; half < STORE_HALVES && !there; half++)
        TRY(has(c, half, name, r->device, &any_time, &there));
    c->n_receipted++;
    if (!there && r->time < c->cutoff_us / 1000000 && !is_kept(kept, name))
        c->n_too_old++;
    else if (!there)
        return wrong(c, "a record that was receipted and is not in the store", &id);
    return ERR_OK;
}

enum err store_check_receipt(struct store_check *c, const uint8_t *p, size_t len,
                             const struct store_kept *kept)
{
    struct receipt r;
    TRY(decode_receipt(c->org, p, len, &r));
    c->n_receipts++;
    for (unsigned i = 0; i < r.n; i++)
        TRY(check_receipted(c, &r, r.names + 32 * (size_t)i, kept));
    return ERR_OK;
}

enum err store_check_disclosure(struct store_check *c, const char *chain, uint64_t n, bool *ret)
{
    struct db *d = c->store->db[STORE_RECOVERY];
    TRY(d->ops->prepare(d, SQL_FREE_3, sql_has_disclosure));
    QUERY(q, c->store, STORE_RECOVERY, SQL_FREE_3, "check-disclosure");
    query_text(&q, chain);
    query_u64(&q, n);
    return query_any(&q, ret);
}
