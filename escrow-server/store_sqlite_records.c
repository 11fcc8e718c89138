/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto/hash.h"
#include "escrow-server/store_sqlite.h"
#include <openssl/evp.h>
#include <string.h>

enum err store_sqlite_record_put(struct store *s, enum store_half half, const struct store_record *r,
                                 bool *ret_new)
{
    QUERY(q, s, half, SQL_RECORD_PUT);
    query_blob(&q, r->name, sizeof r->name);
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_blob(&q, r->r.incarnation, sizeof r->r.incarnation);
    query_u64(&q, r->r.sequence);
    query_blob(&q, r->r.previous, sizeof r->r.previous);
    query_u64(&q, r->r.kind);
    query_u64(&q, r->r.time);
    query_u64(&q, r->received_us);
    query_blob(&q, r->bytes, r->len);
    TRY(query_run(s, half, &q, "record-put"));
    *ret_new = sqlite3_changes(s->db[half]) == 1;
    return ERR_OK;
}

enum err store_sqlite_envelope_put(struct store *s, const struct store_record *r, const struct envelope *e)
{
    uint8_t hash[32];
    TRY(cr_sha256(r->r.envelope, r->r.envelope_len, hash));
    QUERY(q, s, STORE_RECOVERY, SQL_ENVELOPE_PUT);
    query_blob(&q, hash, sizeof hash);
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_blob(&q, r->name, sizeof r->name);
    query_guid(&q, &e->key_id);
    query_blob(&q, e->volume.bytes, 16);
    query_blob(&q, e->device, sizeof e->device);
    query_u64(&q, memcmp(e->device, r->r.device, 32) == 0);
    query_blob(&q, e->commitment, sizeof e->commitment);
    query_text(&q, r->r.computer);
    query_text(&q, r->r.label);
    query_u64(&q, e->time);
    query_u64(&q, r->received_us);
    query_blob(&q, r->r.envelope, r->r.envelope_len);
    return query_run(s, STORE_RECOVERY, &q, "envelope-put");
}

enum err store_sqlite_event_put(struct store *s, const struct store_record *r)
{
    QUERY(q, s, STORE_COMPLIANCE, SQL_EVENT_PUT);
    query_blob(&q, r->name, sizeof r->name);
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_u64(&q, r->r.event);
    query_guid(&q, &r->r.key_id);
    query_guid(&q, &r->r.other_key_id);
    query_blob(&q, r->r.volume.bytes, 16);
    query_u64(&q, r->r.result);
    query_u64(&q, r->r.reason);
    query_u64(&q, r->r.event_time);
    query_u64(&q, r->received_us);
    return query_run(s, STORE_COMPLIANCE, &q, "event-put");
}

enum err store_sqlite_forked(struct store *s, enum store_half half, const struct store_record *r, bool *ret)
{
    QUERY(q, s, half, SQL_FORKED);
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_blob(&q, r->r.incarnation, sizeof r->r.incarnation);
    query_u64(&q, r->r.sequence);
    query_blob(&q, r->name, sizeof r->name);
    query_blob(&q, r->r.previous, sizeof r->r.previous);
    enum err e = query_row(s, half, &q, "forked");
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_OK;
    return ERR_OK;
}

enum err store_sqlite_flag_put(struct store *s, const char *kind, const struct store_record *r)
{
    QUERY(q, s, STORE_RECOVERY, SQL_FLAG_PUT);
    query_blob(&q, r->r.device, sizeof r->r.device);
    query_text(&q, kind);
    query_blob(&q, r->r.incarnation, sizeof r->r.incarnation);
    query_u64(&q, r->r.sequence);
    query_blob(&q, r->name, sizeof r->name);
    query_u64(&q, r->received_us);
    return query_run(s, STORE_RECOVERY, &q, "flag-put");
}

enum err store_sqlite_has_sequence(struct store *s, enum store_half half, const uint8_t device[static 32],
                                   const uint8_t incarnation[static 16], uint64_t sequence, bool *ret)
{
    QUERY(q, s, half, SQL_HAS_SEQUENCE);
    query_blob(&q, device, 32);
    query_blob(&q, incarnation, 16);
    query_u64(&q, sequence);
    enum err e = query_row(s, half, &q, "has-sequence");
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_OK;
    return ERR_OK;
}

enum err store_sqlite_known(struct store *s, enum store_half half, const uint8_t device[static 32],
                            struct store_known *ret)
{
    QUERY(q, s, half, SQL_KNOWN);
    query_blob(&q, device, 32);
    TRY(query_row(s, half, &q, "known"));
    struct store_known k = {.sequence = column_u64(&q, 1), .received_us = column_u64(&q, 3)};
    TRY(column_blob(&q, 0, k.incarnation, sizeof k.incarnation));
    TRY(column_blob(&q, 2, k.name, sizeof k.name));
    *ret = k;
    return ERR_OK;
}

enum err store_sqlite_has_envelope(struct store *s, const uint8_t device[static 32],
                                   const uint8_t hash[static 32], bool *ret)
{
    QUERY(q, s, STORE_RECOVERY, SQL_HAS_ENVELOPE);
    query_blob(&q, hash, 32);
    query_blob(&q, device, 32);
    enum err e = query_row(s, STORE_RECOVERY, &q, "has-envelope");
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_OK;
    return ERR_OK;
}

enum err store_sqlite_digest(struct store *s, const uint8_t device[static 32], uint8_t ret[static 32])
{
    QUERY(q, s, STORE_RECOVERY, SQL_DIGEST);
    query_blob(&q, device, 32);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (md == NULL)
        return ERR_NOMEM;
    enum err e = EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? ERR_OK : ERR_INTERNAL;
    while (e == ERR_OK && (e = query_row(s, STORE_RECOVERY, &q, "digest")) == ERR_OK) {
        uint8_t hash[32];
        e = column_blob(&q, 0, hash, sizeof hash);
        if (e == ERR_OK && EVP_DigestUpdate(md, hash, sizeof hash) != 1)
            e = ERR_INTERNAL;
    }
    if (e == ERR_NOT_FOUND)
        e = EVP_DigestFinal_ex(md, ret, NULL) == 1 ? ERR_OK : ERR_INTERNAL;
    EVP_MD_CTX_free(md);
    return e;
}
