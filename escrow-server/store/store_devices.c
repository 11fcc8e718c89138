/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "escrow-server/store/store_db.h"
#include <string.h>

enum err store_device_get(struct store *s, const uint8_t id[static 32], struct store_device *ret)
{
    QUERY(q, s, STORE_RECOVERY, SQL_DEVICE_GET, "device-get");
    query_blob(&q, id, 32);
    TRY(query_row(&q));
    struct store_device d = {0};
    memcpy(d.id, id, 32);
    TRY(column_blob(&q, 0, d.spki, sizeof d.spki));
    TRY(column_blob(&q, 1, d.courier, sizeof d.courier));
    d.revoked = column_u64(&q, 2) != 0;
    column_text(&q, 3, d.computer, sizeof d.computer);
    d.enrolled = column_u64(&q, 4);
    d.approved = (uint8_t)column_u64(&q, 5);
    *ret = d;
    return ERR_OK;
}

enum err store_device_put(struct store *s, const struct store_device *d)
{
    store_concerns(s, d->id);
    QUERY(q, s, STORE_RECOVERY, SQL_DEVICE_PUT, "device-put");
    query_blob(&q, d->id, sizeof d->id);
    query_blob(&q, d->spki, sizeof d->spki);
    query_blob(&q, d->courier, sizeof d->courier);
    query_text(&q, d->computer);
    query_u64(&q, d->enrolled);
    query_u64(&q, d->approved);
    return query_run(&q);
}

static enum err device_row(const struct query *q, struct store_device *ret)
{
    struct store_device d = {0};
    TRY(column_blob(q, 0, d.id, sizeof d.id));
    column_text(q, 1, d.computer, sizeof d.computer);
    d.approved = (uint8_t)column_u64(q, 2);
    d.revoked = column_u64(q, 3) != 0;
    d.enrolled = column_u64(q, 4);
    d.seen = column_u64(q, 5);
    *ret = d;
    return ERR_OK;
}

enum err store_devices(struct store *s, const uint8_t *after, bool waiting, unsigned max,
                       struct store_device *ret, unsigned *ret_n)
{
    QUERY(q, s, STORE_RECOVERY, waiting ? SQL_DEVICES_WAITING : SQL_DEVICES, "devices");
    query_blob(&q, after == NULL ? (const uint8_t *)"" : after, after == NULL ? 0 : 32);
    query_u64(&q, max);
    unsigned n = 0;
    enum err e = ERR_NOT_FOUND;
    while (n < max && (e = query_row(&q)) == ERR_OK)
        TRY(device_row(&q, &ret[n++]));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_n = n;
    return ERR_OK;
}

static enum err change(struct query *q, const uint8_t id[static 32], uint64_t v)
{
    uint64_t changed;
    query_blob(q, id, 32);
    query_u64(q, v);
    TRY(query_changed(q, &changed));
    return changed == 1 ? ERR_OK : ERR_NOT_FOUND;
}

enum err store_device_approve(struct store *s, const uint8_t id[static 32], enum device_approval approved)
{
    store_concerns(s, id);
    QUERY(q, s, STORE_RECOVERY, SQL_DEVICE_APPROVED, "device-approve");
    return change(&q, id, approved);
}

enum err store_device_revoke(struct store *s, const uint8_t id[static 32], bool revoked)
{
    store_concerns(s, id);
    QUERY(q, s, STORE_RECOVERY, SQL_DEVICE_REVOKED, "device-revoke");
    return change(&q, id, revoked);
}

enum err store_device_seen(struct store *s, const uint8_t id[static 32], uint64_t now,
                           const uint8_t *audit_head)
{
    QUERY(q, s, STORE_RECOVERY, SQL_DEVICE_SEEN, "device-seen");
    query_blob(&q, id, 32);
    query_u64(&q, now);
    query_blob(&q, audit_head, audit_head == NULL ? 0 : 32);
    return query_run(&q);
}

enum err store_token_put(struct store *s, const struct msg_token *t, uint64_t now)
{
    QUERY(q, s, STORE_RECOVERY, SQL_TOKEN_PUT, "token-put");
    query_blob(&q, t->hash, sizeof t->hash);
    query_u64(&q, t->expires);
    query_u64(&q, t->uses);
    query_u64(&q, now);
    return query_run(&q);
}

enum err store_token_use(struct store *s, const uint8_t hash[static 32], uint64_t now, bool count)
{
    QUERY(q, s, STORE_RECOVERY, count ? SQL_TOKEN_USE : SQL_TOKEN_CHECK, "token-use");
    query_blob(&q, hash, 32);
    query_u64(&q, now);
    if (!count) {
        enum err e = query_row(&q);
        return e == ERR_NOT_FOUND ? ERR_DENIED : e;
    }
    uint64_t changed;
    TRY(query_changed(&q, &changed));
    return changed == 1 ? ERR_OK : ERR_DENIED;
}

static void bind_disclosure(struct query *q, const struct msg_entry *e)
{
    query_text(q, e->chain);
    query_u64(q, e->n);
    query_u64(q, e->time);
    query_text(q, e->who);
    query_guid(q, &e->key_id);
    query_blob(q, e->volume.bytes, 16);
    query_blob(q, e->device, sizeof e->device);
}

enum err store_disclosed_put(struct store *s, const struct msg_entry *e, bool *ret_new)
{
    QUERY(q, s, STORE_RECOVERY, SQL_DISCLOSED_PUT, "disclosed-put");
    QUERY(same, s, STORE_RECOVERY, SQL_DISCLOSED_SAME, "disclosed-same");
    bind_disclosure(&q, e);
    uint64_t changed;
    TRY(query_changed(&q, &changed));
    *ret_new = changed == 1;
    if (*ret_new)
        return ERR_OK;
    bind_disclosure(&same, e);
    enum err err = query_row(&same);
    return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
}

enum err store_command_put(struct store *s, const struct store_command *c)
{
    store_concerns(s, c->device);
    QUERY(q, s, STORE_RECOVERY, SQL_COMMAND_PUT, "command-put");
    query_blob(&q, c->device, sizeof c->device);
    query_guid(&q, &c->key_id);
    query_u64(&q, c->made);
    query_blob(&q, c->bytes, sizeof c->bytes);
    query_u64(&q, c->disclosed);
    if (c->loss != 0)
        query_u64(&q, c->loss);
    else
        query_blob(&q, NULL, 0);
    query_u64(&q, c->fresh);
    uint64_t changed;
    TRY(query_changed(&q, &changed));
    return c->fresh && changed == 0 ? ERR_CONFLICT : ERR_OK;
}

enum err store_command_get(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                           struct store_waiting *ret)
{
    QUERY(q, s, STORE_RECOVERY, SQL_COMMAND_GET, "command-get");
    query_blob(&q, device, 32);
    query_guid(&q, key_id);
    TRY(query_row(&q));
    TRY(column_blob(&q, 0, ret->bytes, sizeof ret->bytes));
    ret->again = column_u64(&q, 1) != 0;
    ret->loss = column_u64(&q, 2);
    return ERR_OK;
}

enum err store_command_answered(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                                uint8_t ret[static COMMAND_LEN])
{
    QUERY(q, s, STORE_RECOVERY, SQL_COMMAND_ANSWERED, "command-answered");
    query_blob(&q, device, 32);
    query_guid(&q, key_id);
    TRY(query_row(&q));
    return column_blob(&q, 0, ret, COMMAND_LEN);
}

enum err store_command_done(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                            uint64_t now)
{
    store_concerns(s, device);
    QUERY(q, s, STORE_RECOVERY, SQL_COMMAND_DONE, "command-done");
    query_blob(&q, device, 32);
    query_guid(&q, key_id);
    query_u64(&q, now);
    return query_run(&q);
}

enum err store_command_open(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                            bool *ret)
{
    QUERY(q, s, STORE_RECOVERY, SQL_COMMAND_OPEN, "command-open");
    query_blob(&q, device, 32);
    query_guid(&q, key_id);
    return query_any(&q, ret);
}

enum err store_command_former(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                              uint8_t ret_owner[static 32])
{
    QUERY(q, s, STORE_RECOVERY, SQL_COMMAND_FORMER, "command-former");
    query_blob(&q, device, 32);
    query_guid(&q, key_id);
    TRY(query_row(&q));
    return column_blob(&q, 0, ret_owner, 32);
}

enum err store_holders(struct store *s, const uint8_t device[static 32], const struct guid *key_id,
                       unsigned max, uint8_t (*ret)[32], unsigned *ret_n)
{
    QUERY(q, s, STORE_RECOVERY, SQL_HOLDERS, "holders");
    query_blob(&q, device, 32);
    query_guid(&q, key_id);
    query_u64(&q, max);
    unsigned n = 0;
    enum err e = ERR_NOT_FOUND;
    while (n < max && (e = query_row(&q)) == ERR_OK)
        TRY(column_blob(&q, 0, ret[n++], 32));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_n = n;
    return ERR_OK;
}

enum err store_commands(struct store *s, const uint8_t device[static 32], unsigned max,
                        uint8_t (*ret)[COMMAND_LEN], unsigned *ret_n)
{
    QUERY(q, s, STORE_RECOVERY, SQL_COMMANDS, "commands");
    query_blob(&q, device, 32);
    query_u64(&q, max);
    unsigned n = 0;
    enum err e = ERR_NOT_FOUND;
    while (n < max && (e = query_row(&q)) == ERR_OK)
        TRY(column_blob(&q, 0, ret[n++], COMMAND_LEN));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret_n = n;
    return ERR_OK;
}
